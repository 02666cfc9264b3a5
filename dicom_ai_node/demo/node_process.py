"""The node as a site runs it: `run` in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.demo.home import Home, environment
from dicom_ai_node.demo.stopping import Stopping
from dicom_ai_node.errors import NodeError, PeerUnreachable
from dicom_ai_node.peers.dimse import DimseStore

POLL_S = 0.1
_LISTENS_WITHIN_S = 60
_LOG_TAIL = 12  # lines


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProcess:
    process: subprocess.Popen[bytes]
    config: Config
    log: Path
    stop: Stopping

    @property
    def entrance(self) -> DimseStore:
        """Where studies are sent, as the PACS that the configuration accepts."""
        node = self.config.node
        assert node.port is not None  # noqa: S101 — the demo's configuration has one
        peer = DimsePeer(kind="dimse", ae_title=node.ae_title[0], host=node.host, port=node.port)
        return DimseStore(peer, calling_ae_title="PACS")

    def look_after(self) -> None:
        """Once in a waiting loop: raises when the node has ended, or somebody wants to stop."""
        self.stop.check()
        if self.process.poll() is not None:
            raise self.failure(f"the node ended with status {self.process.returncode}")
        time.sleep(POLL_S)

    def failure(self, what: str) -> NodeError:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = [f"    {line[:300]}" for line in lines[-_LOG_TAIL:]]
        head = f"{what}; its log is {self.log}, and ends so:"
        return NodeError("\n".join([head, *tail, "then run the demo again"]))

    def wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + _LISTENS_WITHIN_S
        while True:
            self.look_after()
            try:
                self.entrance.echo()
            except PeerUnreachable:
                if time.monotonic() > deadline:
                    raise self.failure(
                        f"the node did not answer within {_LISTENS_WITHIN_S} s"
                    ) from None
            else:
                return


@contextmanager
def running_node(home: Home, config: Config, stop: Stopping) -> Iterator[NodeProcess]:
    """Ends with everything below it when the block is left, however that happens."""
    command = [sys.executable, "-m", "dicom_ai_node", "run", "--config", str(home.config)]
    process: subprocess.Popen[bytes] | None = None
    try:
        with stop.held(), home.log.open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C reaches the demo alone, which ends it in order
            )
        yield NodeProcess(process=process, config=config, log=home.log, stop=stop)
    finally:
        if process is not None:
            _end(process, drain_s=config.node.drain_s)


def _end(process: subprocess.Popen[bytes], *, drain_s: float) -> None:
    """SIGTERM; roles left by a node that had to be killed notice its end by themselves."""
    process.terminate()
    try:
        process.wait(timeout=drain_s + 15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
