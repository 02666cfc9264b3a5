"""The roles of one node as a service manager keeps them: each a process, started when it ends."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from dicom_ai_node.durable_steps import VARIABLE
from tests.acceptance.loopback import descendants

ROLES = ("receive", "work", "deliver")


class Roles:
    """`order` is the file with what happens to them at which step."""

    def __init__(self, config: Path, log: Path, order: Path) -> None:
        self._config = config
        self._log = log
        self._environment = {**os.environ, VARIABLE: str(order)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: dict[str, int] = {}  # by a signal or otherwise, since they were last asked for

    def start(self) -> None:
        """Those that do not run."""
        for role in ROLES:
            if role not in self._processes:
                self._processes[role] = self._started(role)

    def _started(self, role: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "dicom_ai_node", role, "--config", str(self._config)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, "--supervised"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    def look_after(self) -> list[str]:
        """Roles that have ended, with anything but a kill as an error; they are not started."""
        gone = []
        for role, process in list(self._processes.items()):
            status = process.poll()
            if status is not None:
                assert status == -signal.SIGKILL, f"{role} ended with {status}"
                self._forget(role)
                gone.append(role)
        return gone

    def stopped(self) -> list[int]:
        """Processes under SIGSTOP: the roles, and what they have started."""
        return [pid for pid in self.pids() if _state(pid) == "T"]

    def pids(self) -> list[int]:
        own = [process.pid for process in self._processes.values()]
        return own + [pid for each in own for pid in descendants(each)]

    def pid_of(self, role: str) -> int | None:
        process = self._processes.get(role)
        return process.pid if process else None

    def kill(self, *roles: str) -> None:
        """`kill -9`, with all that they have started; of all roles when none is named."""
        for role in roles or tuple(self._processes):
            process = self._processes[role]
            for pid in [process.pid, *descendants(process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for role in roles or tuple(self._processes):
            self._processes[role].wait()
            self._forget(role)

    def stop(self) -> None:
        """SIGTERM; each must end well."""
        for process in self._processes.values():
            process.terminate()
        for role, process in list(self._processes.items()):
            status = process.wait(timeout=60)
            self._forget(role)
            assert status == 0, f"{role} ended with {status}"

    def _forget(self, role: str) -> None:
        process = self._processes.pop(role)
        assert process.stdin is not None
        process.stdin.close()


def _state(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]
