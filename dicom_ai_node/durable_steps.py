"""The steps at which something has become durable, or is about to be: where a process may die.

For tests: DICOM_AI_NODE_AT_STEP=instance_synced:3:kill ends a process the third time that it comes
to that step. Where it is the path of a file, that is the file's first line; it may be changed while
processes run, and every passage of theirs is a byte behind it. So the third of all is struck, after
a restart as well, and no other.
"""

import errno
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

VARIABLE = "DICOM_AI_NODE_AT_STEP"
_MAX_FILE = 1 << 16


class Step(StrEnum):
    """In the order of the road. What is *written* is in a transaction, and not committed yet."""

    INSTANCE_WRITTEN = "instance_written"
    INSTANCE_SYNCED = "instance_synced"
    INSTANCE_ACKNOWLEDGED = "instance_acknowledged"
    ROWS_WRITTEN = "rows_written"
    ROWS_COMMITTED = "rows_committed"
    CONFLICT_RECORDED = "conflict_recorded"  # its file is yet to be set aside
    ORPHAN_ADOPTED = "orphan_adopted"  # by a rescan
    JOBS_WRITTEN = "jobs_written"
    STUDY_SETTLED = "study_settled"
    JOB_CLAIMED = "job_claimed"
    REQUEST_READ = "request_read"  # by the process in which the model runs
    OBJECTS_WRITTEN = "objects_written"
    REPORT_WRITTEN = "report_written"
    RESULT_TAKEN = "result_taken"  # from where the model may write
    OUTBOX_RENAMED = "outbox_renamed"
    READY_WRITTEN = "ready_written"
    READY_PUBLISHED = "ready_published"
    OBJECT_SENT = "object_sent"  # and answered
    DELIVERY_WRITTEN = "delivery_written"
    JOB_DONE_WRITTEN = "job_done_written"
    DELIVERY_RECORDED = "delivery_recorded"
    COMMITMENT_NOTED = "commitment_noted"  # the peer has not been asked yet
    COMMITMENT_ASKED = "commitment_asked"
    COMMITMENT_RECORDED = "commitment_recorded"
    PURGE_RECORDED = "purge_recorded"  # its files are yet to go
    PURGE_DONE = "purge_done"
    DISCARD_RECORDED = "discard_recorded"  # its files are yet to go
    ERASURE_RECORDED = "erasure_recorded"  # its files are yet to go
    SCHEMA_WRITTEN = "schema_written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to happen the `time`-th time that a step is reached."""

    step: Step
    time: int
    action: str

    @classmethod
    def of(cls, text: str) -> "Order":
        """ValueError for what is no step, number or action."""
        name, time, action = text.strip().split(":")
        if action not in ("kill", "stop", "fail"):
            raise ValueError(f"{action} is neither kill, stop nor fail")
        return cls(step=Step(name), time=int(time), action=action)


def strike(action: str) -> None:
    """What an order asks for, done to this process."""
    if action == "fail":
        raise OSError(errno.EIO, "asked for by a test")
    os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def armed(text: str) -> Callable[[Step], None]:
    """`reached`, as the variable has it: an order, or the path of a file with one."""
    due = _in_file(text) if os.sep in text else _in_process(Order.of(text))

    def reached(at: Step) -> None:
        action = due(at)
        if action is not None:
            strike(action)

    return reached


def _in_process(order: Order) -> Callable[[Step], str | None]:
    passages = 0
    lock = threading.Lock()

    def due(at: Step) -> str | None:
        nonlocal passages
        if at is not order.step:
            return None
        with lock:
            passages += 1
            return order.action if passages == order.time else None

    return due


def _in_file(path: str) -> Callable[[Step], str | None]:
    # opened at once: behind a fence it could not be
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    lock = threading.Lock()

    def due(at: Step) -> str | None:
        head = os.pread(descriptor, _MAX_FILE, 0).partition(b"\n")[0]
        if not head or (order := Order.of(head.decode())).step is not at:
            return None
        with lock:
            os.write(descriptor, b".")
            passages = os.lseek(descriptor, 0, os.SEEK_CUR) - len(head) - 1
        return order.action if passages == order.time else None

    return due


def _nothing(_step: Step) -> None:
    pass


_asked_for = os.environ.get(VARIABLE)
# bound once: it stands in the way of every instance that is received
reached: Callable[[Step], None] = armed(_asked_for) if _asked_for else _nothing
