"""The attempt process from its first line on: fence, imports, then one request after another."""

import json
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_ai_node import log, privileges
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.engines import fence
from dicom_ai_node.engines.fence import Fence

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel

FENCE, START = "fence", "start"  # the files that describe the process


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """All that the process is told before its first request; written by the worker."""

    parent: int
    fence: Fence | None
    threads: int
    memory_mb: float
    preload: tuple["InstalledModel", ...]
    log_settings: dict[str, Any]


def main(descriptor: int, folder: Path) -> None:
    """`folder` holds what the worker writes (`in`), and what is written here (`out`, `tmp`)."""
    # the worker decides when this ends; a model may not
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    privileges.go_first()
    line = _Line(socket.socket(fileno=descriptor))
    fenced = _read(folder / "in" / FENCE)
    if isinstance(fenced, Fence):
        inbox, results, scratch = (folder / name for name in ("in", "out", "tmp"))
        said = fence.enter(fenced, inbox=inbox, results=results, scratch=scratch)
        line.tell(fence=said)
        if fenced.mode == "required" and not all(text.startswith("yes") for text in said.values()):
            sys.exit(0)
    # not before the fence: this imports numpy, whose threads would be outside of it
    start = _read(folder / "in" / START)
    assert isinstance(start, Start)  # noqa: S101 - the worker's own file
    with _only_the_log_speaks():
        log.configure(**start.log_settings)  # a library's warning may quote a header
    privileges.die_with_parent(start.parent)  # a change of user would have undone it
    # imported behind the fence: torch, and whatever else a model brings
    from dicom_ai_node.engines.attempt_process import AttemptProcess

    def next_request() -> tuple[int, Any]:
        number = line.next_number()
        request = _read(folder / "in" / str(number))
        reached(Step.REQUEST_READ)
        return number, request

    process = AttemptProcess(
        line.tell, next_request, threads=start.threads, memory_mb=start.memory_mb
    )
    process.warm(start.preload)
    process.serve()


@contextmanager
def _only_the_log_speaks() -> Iterator[None]:
    """What is configured within keeps standard error; afterwards nobody else has it. Models and
    their libraries print what they like there, and it would stand in the log (P20)."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    yield
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    sys.stderr = os.fdopen(silence, "w")


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


if __name__ == "__main__":
    # pickles name this module by its whole name
    from dicom_ai_node.engines import attempt_main

    attempt_main.main(int(sys.argv[1]), Path(sys.argv[2]))
