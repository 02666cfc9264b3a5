"""The attempt process from its first line on: fence, imports, then one request after another."""

import json
import os
import pickle
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_ai_node import log
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.engines import fence, privileges
from dicom_ai_node.engines.fence import Fence

START = "start"  # the file that describes the process


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """All that the process is told before its first request; written by the worker."""

    parent: int
    fence: Fence | None
    threads: int
    memory_mb: float
    preload: tuple[InstalledModel, ...]
    log_settings: dict[str, Any]


def main(descriptor: int, folder: Path) -> None:
    """`folder` holds what the worker writes (`in`), and what is written here (`out`, `tmp`)."""
    start = _read(folder / "in" / START)
    assert isinstance(start, Start)  # noqa: S101 - the worker's own file
    log.configure(**start.log_settings)  # first: a library's warning may quote a header
    # the worker decides when this ends; a model may not
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _first_to_be_killed()
    line = _Line(socket.socket(fileno=descriptor))
    if start.fence is not None:
        inbox, results, scratch = (folder / name for name in ("in", "out", "tmp"))
        said = fence.enter(start.fence, inbox=inbox, results=results, scratch=scratch)
        line.tell(fence=said)
        if start.fence.mode == "required" and not all(t.startswith("yes") for t in said.values()):
            sys.exit(0)
    privileges.die_with_parent(start.parent)  # a change of user would have undone it
    # imported behind the fence: torch, and whatever else a model brings
    from dicom_ai_node.engines.attempt_process import AttemptProcess

    def next_request() -> tuple[int, Any]:
        number = line.next_number()
        return number, _read(folder / "in" / str(number))

    process = AttemptProcess(
        line.tell, next_request, threads=start.threads, memory_mb=start.memory_mb
    )
    process.warm(start.preload)
    process.serve()


class _Line:
    """To the worker: numbers of requests come, JSON goes. Nothing is unpickled at its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._numbers = connection.makefile("r")

    def tell(self, **words: Any) -> None:
        with self._lock:
            self._connection.sendall(json.dumps(words).encode() + b"\n")

    def next_number(self) -> int:
        text = self._numbers.readline()
        if not text:
            os._exit(0)  # the worker is gone
        return int(text)


def _read(path: Path) -> Any:
    return pickle.loads(path.read_bytes())  # noqa: S301 - of the worker, who alone may write there


def _first_to_be_killed() -> None:
    """Where the machine has no memory left, this process goes, and not the worker (E8)."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


if __name__ == "__main__":
    # pickles name this module by its whole name
    from dicom_ai_node.engines import attempt_main

    attempt_main.main(int(sys.argv[1]), Path(sys.argv[2]))
