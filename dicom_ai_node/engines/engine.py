"""The seam between the job table and the places where attempts run."""

from dataclasses import dataclass
from typing import Protocol

from dicom_ai_node.attempt import Report, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that ended without a report; `kind` is a short word for counting.

    `text` names classes and places in code, never values: it is logged and shown.
    """

    kind: str  # crash, timeout, error
    text: str


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

    def capacity(self) -> int:
        """How many more attempts can be submitted now."""
        ...

    def submit(self, request: Request) -> Attempt:
        """Start one.

        Raises
        ------
        RuntimeError
            When there is no capacity.
        """
        ...

    def close(self) -> None:
        """End every process that belongs to it."""
        ...
