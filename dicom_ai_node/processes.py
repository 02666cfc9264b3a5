"""Several roles on one machine: child processes, restarted when one dies, stopped together."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from dicom_ai_node.errors import AlreadyRunning, ConfigError, NotStartable
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

RESTART_FIRST_S = 0.5
RESTART_MAX_S = 30.0
_STEADY_S = 60.0  # a child that ran so long is restarted at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What a supervisor does when it is asked to reload."""

    asked: "SimpleQueue[None]"
    take: Callable[[], bool]  # False: nothing changes, and no child is told
    take_back: Callable[[], bool]  # what was taken last; False: there is nothing to go back to


def stop_on_signals(*also: threading.Event) -> threading.Event:
    """Set by SIGTERM and SIGINT, `also` too; call it in the main thread."""
    stop = threading.Event()

    def told(*_: object) -> None:
        for event in (stop, *also):
            event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return stop


def hangups() -> SimpleQueue[None]:
    """An item for each SIGHUP, and for one that came before; call it in the main thread.

    Unlike an event, such a queue may be filled by a signal that interrupts the filling itself.
    """
    come: SimpleQueue[None] = SimpleQueue()
    signal.signal(signal.SIGHUP, lambda *_: come.put(None))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    return come


def keep_hangups() -> set[int]:
    """Those that come are kept for the process that is started now, until its `hangups()`; they
    would end it before. Returns the mask to be set again."""
    return {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})}


def stop_with_parent(*stop: threading.Event) -> None:
    """Set them when standard input ends: a killed supervisor takes its children along."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        for event in stop:
            event.set()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_after: float = 0.0
    pause_s: float = RESTART_FIRST_S
    is_told: bool = False  # to reload, since it was started
    is_trial: bool = False  # started to reload

    def start(self) -> None:
        mask = keep_hangups()
        try:
            # a group of its own: Ctrl-C reaches the supervisor alone, which stops them in order
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, process_group=0)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.is_trial, self.is_told = self.is_told, False
        self.started_at = time.monotonic()
        log.info("role_started", role=self.name, pid=self.process.pid)

    def look_after(self) -> None:
        """Restart it when it has died, after a pause that grows while it keeps dying."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.start_after:
                self._try_to_start(now)
        elif (status := self.process.poll()) is not None:
            if self.is_told and status == 0:
                self._forget()
                self._try_to_start(now)
                return
            steady = now - self.started_at > _STEADY_S
            self.is_told, self.is_trial = False, self.is_trial and not steady
            self.pause_s = RESTART_FIRST_S if steady else min(self.pause_s * 2, RESTART_MAX_S)
            self.start_after = now + self.pause_s
            self._forget()
            if status in (ConfigError.exit_status, AlreadyRunning.exit_status):
                raise NotStartable(
                    f"{self.name} cannot run here: see what it said above", exit_status=status
                )
            log.error("role_died", role=self.name, status=status, restart_in_s=self.pause_s)

    def _try_to_start(self, now: float) -> None:
        """A machine that has no memory or process to spare now may have one later."""
        try:
            self.start()
        except OSError:
            self.pause_s = min(self.pause_s * 2, RESTART_MAX_S)
            self.start_after = now + self.pause_s
            log.exception("role_not_started", role=self.name, restart_in_s=self.pause_s)

    def must_live(self) -> None:
        """Raise NotStartable when it has died, with its status."""
        if self.process is not None and (status := self.process.poll()) is not None:
            self._forget()
            raise NotStartable(f"{self.name} died: all of them end", exit_status=abs(status) or 1)

    def hang_up(self) -> None:
        self.is_told = True
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def stop(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("role_killed", role=self.name)
            self.process.kill()
            self.process.wait()
        self._forget()

    def _forget(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None


def run_together(
    command: Sequence[str],
    number: int,
    stop: threading.Event,
    *,
    name: str,
    drain_s: float,
    reload: Reload,
) -> None:
    """So many equal processes of one role. When one dies, all end, and NotStartable is raised: what
    it left behind, the next start of the role puts in order."""
    children = [_Child(name=f"{name}-{n}", command=command) for n in range(1, number + 1)]
    try:
        for child in children:
            child.start()
        while not stop.is_set():
            for child in children:
                child.must_live()
            _reload(children, reload)
            stop.wait(0.2)
    finally:
        _end(children, drain_s)


def supervise(
    commands: Mapping[str, Sequence[str]],
    stop: threading.Event,
    *,
    drain_s: float,
    reload: Reload | None = None,
) -> None:
    """One process per command, alive until `stop`; then SIGTERM, and after `drain_s` SIGKILL.

    A reload that is taken is a SIGHUP to each. Who ends by it, with 0, is started again at once;
    when one cannot run with what is new, that is taken back for all.
    """
    children = [_Child(name=name, command=command) for name, command in commands.items()]
    try:
        while not stop.is_set():
            for child in children:
                _look_after(child, children, reload)
            if reload is not None:
                _reload(children, reload)
            stop.wait(0.2)
    finally:
        log.info("stopping")
        _end(children, drain_s)


def _look_after(child: _Child, children: Sequence[_Child], reload: Reload | None) -> None:
    try:
        child.look_after()
    except NotStartable:
        if not (child.is_trial and reload is not None and reload.take_back()):
            raise
        for each in children:
            each.hang_up()


def _reload(children: Sequence[_Child], reload: Reload) -> None:
    if reload.asked.empty():
        return
    reload.asked.get()
    if reload.take():
        for child in children:
            child.hang_up()


def _end(children: Sequence[_Child], drain_s: float) -> None:
    for child in children:
        if child.process is not None:
            child.process.terminate()
    deadline = time.monotonic() + drain_s
    for child in children:
        child.stop(deadline)
