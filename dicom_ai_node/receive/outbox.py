"""Reports of storage commitment on their way to the association of their request."""

import threading
import time
from collections import deque

from dicom_ai_node.peers.commitment import Report

ANSWER_S = 10.0  # for a report on the association of its request, sent and answered


class Outbox:
    """Between the thread that judges and that of an association, which alone sends on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = True
        self._waiting: deque[tuple[int, Report, float]] = deque()
        self._expected = 0
        self._asked: tuple[int, int] | None = None  # message and row of a report not answered yet
        self._messages = 0

    def expect(self) -> None:
        """A request was taken, so that a report will come."""
        with self._lock:
            self._expected += 1

    def is_expecting(self) -> bool:
        """True while there may be something to send."""
        with self._lock:
            return self._expected > 0

    def put(self, commitment_id: int, report: Report) -> bool:
        """False when the association has ended. In vain after ANSWER_S: then others report it."""
        with self._lock:
            if self._is_open:
                self._waiting.append((commitment_id, report, time.monotonic() + ANSWER_S))
            return self._is_open

    def take(self) -> tuple[int, Report] | None:
        """A message ID and what to send now: one at a time waits for its answer."""
        with self._lock:
            while self._waiting and self._asked is None:
                commitment_id, report, until = self._waiting.popleft()
                self._expected -= 1
                if time.monotonic() < until:
                    self._messages = self._messages % 0xFFFF + 1
                    self._asked = self._messages, commitment_id
                    return self._messages, report
        return None

    def answered(self, message_id: int) -> int | None:
        """The row of the report that was answered; None when nothing was asked under this ID."""
        with self._lock:
            if self._asked is None or self._asked[0] != message_id:
                return None
            commitment_id, self._asked = self._asked[1], None
            return commitment_id

    def close(self) -> list[int]:
        """The rows that somebody else must report."""
        with self._lock:
            self._is_open, self._expected = False, 0
            left = [commitment_id for commitment_id, *_ in self._waiting]
            left += [self._asked[1]] if self._asked else []
            self._waiting.clear()
            self._asked = None
        return left
