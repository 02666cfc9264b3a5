"""One attempt process, as the worker sees it: its folder, the line to it, its end."""

import contextlib
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dicom_ai_node.attempt import Request
from dicom_ai_node.engines.attempt_main import START, Start
from dicom_ai_node.engines.environment import scratch_variables
from dicom_ai_node.engines.watch import family

_MAX_LINE = 1 << 16
PREFIX = "attempt-process-"


class Child:
    """In a session of its own. `home` is on the disk to which results will be renamed."""

    def __init__(self, start: Start, *, home: Path, environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
        self._inbox, self.out, self.scratch = (self.folder / n for n in ("in", "out", "tmp"))
        for each in (self._inbox, self.out, self.scratch):
            each.mkdir(mode=0o700)
        if start.fence is not None and start.fence.user is not None:
            self._give_to(start.fence.uid, start.fence.gid)
        _write(self._inbox / START, start)
        ours, theirs = socket.socketpair()
        self._line = ours
        self._line.setblocking(False)
        self._rest = b""
        self._is_open = True
        with theirs:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "dicom_ai_node.engines.attempt_main"),
                    *(str(theirs.fileno()), str(self.folder)),
                ],
                pass_fds=(theirs.fileno(),),
                env={**environment, **scratch_variables(self.scratch)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def fileno(self) -> int:
        """Readable when it has said something, or has ended."""
        return self._line.fileno()

    def send(self, number: int, request: Request) -> None:
        """The request lies in a file, so that a process that hangs cannot make us wait."""
        inside = replace(request, folder=self.out / str(number))
        _write(self._inbox / str(number), inside)
        with contextlib.suppress(OSError):  # it has ended, which is seen soon
            self._line.sendall(f"{number}\n".encode())

    def said(self) -> Iterator[dict[str, Any]]:
        """What it has said since. Models run there: nothing of it is believed beyond its form."""
        while self._is_open:
            try:
                content = self._line.recv(_MAX_LINE)
            except BlockingIOError:
                break
            except OSError:
                content = b""
            self._is_open = bool(content)
            *lines, self._rest = (self._rest + content).split(b"\n")
            if len(self._rest) > _MAX_LINE:
                self._is_open = False
            for line in lines:
                yield _parsed(line)

    def ended(self) -> int | None:
        """Its exit status, negative for a signal; a process that hangs up is ended."""
        if not self._is_open and self.process.poll() is None:
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.poll()

    def kill(self) -> None:
        """With all that it has started."""
        pids = family(self.process.pid) if self.process.poll() is None else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._line.close()
        self._is_open = False
        shutil.rmtree(self.folder, ignore_errors=True)

    def _give_to(self, uid: int, gid: int) -> None:
        """`in` stays ours: what is read from there as it was written is from nobody else."""
        self.folder.chmod(0o711)
        for each in (self.out, self.scratch):
            os.chown(each, uid, gid)


def _write(path: Path, value: object) -> None:
    path.write_bytes(pickle.dumps(value))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
