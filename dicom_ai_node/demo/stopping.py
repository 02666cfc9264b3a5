"""SIGINT and SIGTERM end the demo as an exception would: through every clean-up, once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """Exit status 128 + the signal's number, as shells do."""


class Stopping:
    """Raises Stopped where the main thread stands; while held, and a second time, it waits."""

    def __init__(self) -> None:
        self._number = 0
        self._held = False

    def check(self) -> None:
        """For loops that wait: an exception raised inside a destructor is lost."""
        if self._number and not self._held:
            raise Stopped(128 + self._number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is interrupted inside: a process that was started is known before it ends."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    def receive(self, number: int, _frame: FrameType | None) -> None:
        first = not self._number
        self._number = number
        if first:
            self.check()


@contextmanager
def stopping() -> Iterator[Stopping]:
    """In the main thread only; the handlers before it are put back."""
    state = Stopping()
    before = {number: signal.signal(number, state.receive) for number in _SIGNALS}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
