"""What systemd hears of a service of Type=notify: sd_notify(3), datagrams on a Unix socket."""

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

_PINGS = 3  # in the time that the watchdog allows


class ServiceNotify(threading.Event):
    """The event that ends a service. Who begins to wait for it is ready, who waits again and again
    is alive, and who need not wait any more is stopping.

    Where systemd has not started the process, it is that event and nothing more.
    """

    def __init__(self, stop: threading.Event, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._stop = stop
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every_s = int(environ.get("WATCHDOG_USEC") or 0) / 1e6 / _PINGS
        self._said: set[str] = set()
        self._pinged_at = time.monotonic()

    def is_set(self) -> bool:
        return self._stop.is_set()

    def set(self) -> None:
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        self._tell_once("READY=1")
        now = time.monotonic()
        if self._every_s and now - self._pinged_at >= self._every_s:
            self._pinged_at = now
            self._tell("WATCHDOG=1")
        stopped = self._stop.wait(timeout)
        if stopped:
            self._tell_once("STOPPING=1")
        return stopped

    def _tell_once(self, state: str) -> None:
        if state not in self._said:
            self._said.add(state)
            self._tell(state)

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            suppress(OSError),  # nobody listens any more: no reason to end
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line,
        ):
            line.sendto(state.encode(), address)
