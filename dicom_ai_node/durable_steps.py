"""The steps at which something has become durable, or is about to be: where a process may die.

For tests: DICOM_AI_NODE_AT_STEP=instance_synced:3:kill ends a process the third time that it comes
to that step. With a file, as in instance_synced:3:kill:/tmp/came, the passages of all processes are
counted in its bytes, those after a restart included; so the third of all is struck, and no other.
"""

import errno
import os
import signal
import threading
from collections.abc import Callable
from enum import StrEnum

VARIABLE = "DICOM_AI_NODE_AT_STEP"


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
    PURGE_RECORDED = "purge_recorded"  # its files are yet to go
    PURGE_DONE = "purge_done"
    SCHEMA_WRITTEN = "schema_written"


def strike(action: str) -> None:
    """What the variable asks for, done to this process."""
    if action == "fail":
        raise OSError(errno.EIO, "asked for by a test")
    number = signal.SIGKILL if action == "kill" else signal.SIGSTOP
    os.kill(os.getpid(), number)


def _nothing(_step: Step) -> None:
    pass


def armed(text: str, act: Callable[[str], None] = strike) -> Callable[[Step], None]:
    """ValueError for what is no step, number or action."""
    name, time, action, *file = text.split(":", 3)
    step, number = Step(name), int(time)
    if action not in ("kill", "stop", "fail"):
        raise ValueError(f"{VARIABLE}: {action} is neither kill, stop nor fail")
    # opened now: a fence may not let it be opened later
    came = _Passages(file[0] if file else None)

    def reached(at: Step) -> None:
        if at is step and came.count() == number:
            act(action)

    return reached


class _Passages:
    """Counted over threads; with a file, over processes too."""

    def __init__(self, path: str | None) -> None:
        self._number = 0
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o666) if path else None

    def count(self) -> int:
        with self._lock:
            if self._descriptor is None:
                self._number += 1
                return self._number
            os.write(self._descriptor, b".")
            return os.lseek(self._descriptor, 0, os.SEEK_CUR)


_asked_for = os.environ.get(VARIABLE)
# bound once: it stands in the way of every instance that is received
reached: Callable[[Step], None] = armed(_asked_for) if _asked_for else _nothing
