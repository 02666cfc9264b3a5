"""One attempt process, as the worker sees it: its folder, the line to it, its end."""

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dicom_ai_node.engines.attempt_main import FENCE, START, Start
from dicom_ai_node.engines.environment import scratch_variables
from dicom_ai_node.engines.watch import family
from dicom_ai_node.log import get_logger
from dicom_ai_node.request import Request
from dicom_ai_node.spool import remove_folder

log = get_logger(__name__)

_MAX_LINE = 1 << 16
_MOST_READS = 16  # in a row
_MOST_KILLED = 10_000  # one by one; those of its session are killed together
_KILL_S = 10.0
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
        _write(self._inbox / FENCE, start.fence)
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
        for _ in range(_MOST_READS):  # who never stops must not keep us from the others
            if not self._is_open:
                break
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

    def forget(self, number: int) -> None:
        """An attempt has ended: its request, and what it had written if that was not taken."""
        (self._inbox / str(number)).unlink(missing_ok=True)
        remove_folder(self.out / str(number))

    def kill(self) -> None:
        """With all that it has started, which is stopped first, lest it start more meanwhile."""
        is_there = self.process.poll() is None
        self._signal_group(signal.SIGSTOP)
        pids = family(self.process.pid, enough=_MOST_KILLED) if is_there else []
        self._signal_group(signal.SIGKILL)
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            self.process.wait(_KILL_S)
        except subprocess.TimeoutExpired:  # in the kernel, for a device that does not answer
            log.error("attempt_process_not_killed", pid=self.process.pid)  # noqa: TRY400 - no news

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def close(self) -> None:
        self.kill()
        self._line.close()
        self._is_open = False
        remove_folder(self.folder)

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
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
