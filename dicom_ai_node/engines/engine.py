"""The seam between the job table and the places where attempts run."""

import enum
from dataclasses import dataclass
from typing import Protocol

from dicom_ai_node.job import DAMAGED, LOST
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request

MODEL_CHANGED = "model_changed"
NO_DEVICE = "no_device"
NOT_STARTED = "not_started"
MISMATCH = "mismatch"  # a result that is not what its job is about: no further attempt
# they say nothing of the study: such an attempt is not counted
NOT_COUNTED = frozenset({MODEL_CHANGED, NO_DEVICE, NOT_STARTED})
KINDS = NOT_COUNTED | {
    *("crash", "timeout", "memory", "scratch", "processes", "error", "no_output", "no_model"),
    *(MISMATCH, DAMAGED, LOST),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that ended without a report; `kind` is a short word for counting.

    `text` names classes and places in code, never values: it is logged and shown.
    """

    kind: str  # of KINDS
    text: str


def kind_in_words(failure: Failure) -> str:
    """One of a few words: those that an attempt process says itself may be any."""
    return failure.kind if failure.kind in KINDS else "other"


class Room(enum.Enum):
    """What can be submitted now."""

    NONE = "none"
    BESIDE = "beside"  # an attempt that loads while another one predicts, in the same process
    FREE = "free"  # an attempt with a process of its own


class Attempt(Protocol):
    """One attempt under way."""

    def poll(self, wait_s: float) -> Report | Failure | None:
        """Wait at most so long; None while it is still running."""
        ...

    def kill(self) -> None:
        """End it now; nothing of it is published. Ending it twice is harmless."""
        ...


class Engine(Protocol):
    """A place with room for some attempts at a time."""

    def room(self) -> Room:
        """For one more attempt, now."""
        ...

    def submit(self, request: Request, *, alone: bool = False) -> Attempt:
        """Start one; `alone`: no other one in its process, so that its crash is nobody else's.

        Raises
        ------
        RuntimeError
            When there is no room for it.
        """
        ...

    def wait(self, wait_s: float) -> None:
        """Until something has come of an attempt, at most so long."""
        ...

    def close(self) -> None:
        """End every process that belongs to it."""
        ...
