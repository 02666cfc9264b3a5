"""Attempts in one spawned process of this machine, in which models stay warm between jobs."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from dicom_ai_node import log
from dicom_ai_node.attempt import Report, Request
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.engines.engine import Failure

# fork after torch has started threads hangs; spawn costs the imports once
_spawn = multiprocessing.get_context("spawn")


class LocalEngine:
    """One slot. A crash, a leak or a hang ends its process, and the next attempt gets a new one."""

    def __init__(self, *, threads: int, preload: Sequence[InstalledModel] = ()) -> None:
        self._threads = threads
        self._preload = tuple(preload)
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._busy = False

    def start(self) -> None:
        """Start the process ahead of the first job, so that imports and weights are warm."""
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(
            target=_serve,
            args=(theirs, self._threads, self._preload, log.settings()),
            name="attempts",
        )
        self._process.start()
        theirs.close()

    def capacity(self) -> int:
        return 0 if self._busy else 1

    def submit(self, request: Request) -> "LocalAttempt":
        if self._busy:
            raise RuntimeError("the one slot is taken")
        if self._process is None or not self._process.is_alive():
            self.close()
            self.start()
        assert self._pipe is not None  # noqa: S101 — start() made it
        self._pipe.send(request)
        self._busy = True
        return LocalAttempt(
            engine=self, deadline=time.monotonic() + request.model.package.timeout_s
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        self._busy = False

    def answer(self, wait_s: float) -> Report | Failure | None:
        """What the process says of its attempt; its death is an answer too."""
        assert self._pipe is not None  # noqa: S101 — only an attempt asks
        assert self._process is not None  # noqa: S101
        try:
            if not self._pipe.poll(wait_s):
                return None
            found: Report | Failure = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode or 0
            self.close()
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            return Failure(kind="crash", text=f"the attempt process ended by {how}")
        self._busy = False
        return found


@dataclass(slots=True, kw_only=True)
class LocalAttempt:
    """The attempt in the one slot, with its deadline on the monotonic clock."""

    engine: LocalEngine
    deadline: float
    killed: bool = False

    def poll(self, wait_s: float) -> Report | Failure | None:
        found = self.engine.answer(min(wait_s, max(0.0, self.deadline - time.monotonic())))
        if found is None and time.monotonic() >= self.deadline:
            self.kill()
            return Failure(kind="timeout", text="the attempt ran longer than the model's timeout_s")
        return found

    def kill(self) -> None:
        if not self.killed:
            self.engine.close()
            self.killed = True


def _serve(
    pipe: Connection,
    threads: int,
    preload: Sequence[InstalledModel],
    log_settings: dict[str, Any],
) -> None:
    """The attempt process: requests in, reports out, until the other end is gone."""
    log.configure(**log_settings)  # first: a library's warning may quote a header
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when this ends
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    from dicom_ai_node.engines.attempt_process import AttemptProcess

    process = AttemptProcess(threads=threads)
    process.warm(preload)
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return
        pipe.send(process.run(request))


def _end_with_parent() -> None:
    """A killed worker takes its attempt with it, even in the middle of inference."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 — this is a spawned process

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
