"""An attempt in a slot of this machine."""

import time
from dataclasses import dataclass
from typing import Protocol

from dicom_ai_node.engines.engine import Failure
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request


class Place(Protocol):
    """The slot, as its attempts know it."""

    def step(self, wait_s: float) -> None: ...

    def withdraw(self, attempt: "LocalAttempt") -> None: ...


@dataclass(slots=True, kw_only=True, eq=False)
class LocalAttempt:
    """An attempt in a slot, with the seconds of its own work: not those behind another one."""

    slot: Place
    number: int
    request: Request
    alone: bool
    found: Report | Failure | None = None
    stage: str = "sent"
    spent_s: float = 0.0
    working_since: float | None = None  # on the monotonic clock

    def poll(self, wait_s: float) -> Report | Failure | None:
        deadline = time.monotonic() + wait_s
        self.slot.step(0)
        while self.found is None and (left := deadline - time.monotonic()) > 0:
            self.slot.step(left)
        return self.found

    def kill(self) -> None:
        self.slot.withdraw(self)

    def keep_time(self, now: float, *, works: bool) -> None:
        """Count what has passed since the last call, if it worked; and whether it does from now."""
        if self.working_since is not None:
            self.spent_s += now - self.working_since
        self.working_since = now if works else None
