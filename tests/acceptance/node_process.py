"""The node as an administrator starts it: `run` in a process of its own, configured by files."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.acceptance.loopback import descendants, free_port


class NodeProcess:
    """Quiet time 1 s, 3 s where something is missing, leases of 3 s.

    `peers` and `routes` are YAML below those keys.
    """

    def __init__(
        self, home: Path, *, models: Path, peers: dict[str, Any], routes: list[dict[str, Any]]
    ) -> None:
        self.home = home
        self.config = home / "config"
        self.port = free_port()
        self.metrics_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.config.mkdir(parents=True)
        self.configure(models=models, peers=peers, routes=routes)

    def configure(
        self,
        *,
        models: Path,
        peers: dict[str, Any],
        routes: list[dict[str, Any]],
        complete: dict[str, Any] | None = None,
        sections: dict[str, dict[str, Any]] | None = None,
        **node: Any,
    ) -> None:
        """`complete` is what is said of Orthanc, `node` of the section of that name; `sections`
        are those of the configuration that differ from what is said above."""
        settings: dict[str, Any] = {  # JSON is YAML
            "node": {
                "ae_title": "AI_NODE",
                "port": self.port,
                "spool": str(self.home / "var"),
                "database": f"sqlite:///{self.home}/var/node.db",
                "models": str(models),
                **node,
            },
            "study": {"quiet_s": 1, "incomplete_s": 3},
            "work": {"lease_s": 3, "threads": 2},
            "delivery": {"backoff_max_s": 2},
            "web": {"port": None},
            "metrics": {"port": self.metrics_port},
            "accept": [
                {"ae_title": "ORTHANC", "from": ["127.0.0.1/32"], "complete": complete or {}},
                {"ae_title": "PACS", "from": ["127.0.0.1/32"]},
            ],
            "peers": peers,
            "routes": routes,
            **(sections or {}),
        }
        (self.config / "node.yaml").write_text(json.dumps(settings, indent=1))

    def start(self, *, timeout_s: float = 60) -> "NodeProcess":
        self.begin()
        self.wait(self._listens, timeout_s=timeout_s)
        return self

    def begin(self) -> None:
        """Without waiting until it listens."""
        with (self.home / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dicom_ai_node", "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """`kill -9` of the supervisor and everything below it, at once."""
        assert self.process is not None
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self) -> int | None:
        """SIGTERM; the exit status."""
        if self.process is None:
            return None
        self.process.terminate()
        status = self.process.wait(timeout=60)
        self.process = None
        return status

    def pid_of(self, role: str) -> int | None:
        """The process of a role, or `attempt` for the one in which models run."""
        assert self.process is not None
        for pid in descendants(self.process.pid):
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            spawned = any(b"attempt_main" in argument for argument in arguments)
            if spawned if role == "attempt" else role.encode() in arguments:
                return pid
        return None

    def verb(self, *arguments: str) -> Any:
        """A verb's JSON, as a program would read it."""
        command = [sys.executable, "-m", "dicom_ai_node", *arguments]
        done = subprocess.run(
            [*command, "--json", "--config", str(self.config)], capture_output=True, check=True
        )
        return json.loads(done.stdout)

    def said(self, *arguments: str) -> int:
        """The exit status of a verb."""
        command = [sys.executable, "-m", "dicom_ai_node", *arguments]
        return subprocess.run(
            [*command, "--config", str(self.config)], capture_output=True, check=False
        ).returncode

    def status(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.metrics_port}/status.json"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return dict(json.loads(answer.read()))

    def log(self) -> str:
        return (self.home / "node.log").read_text()

    def wait(self, test: Callable[[], Any], *, timeout_s: float = 60) -> Any:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process is None or self.process.poll() is None, self.log()
            if value := test():
                return value
            time.sleep(0.05)
        raise TimeoutError(f"the node did not come to the expected state:\n{self.log()}")

    def _listens(self) -> bool:
        try:
            self.status()
        except OSError:
            return False
        return self.log().count("receiver_listening") == self.log().count("metrics_listening")
