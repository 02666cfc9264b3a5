"""A whole node as processes: what it writes into its trail from start to stop, and sends on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_ai_node.audit.read import every_line
from dicom_ai_node.audit.verify import verify
from tests.acceptance.node_process import NodeProcess
from tests.audit.repository import Repository, repository
from tests.audit.schema import assert_valid, event, identified, kind, messages
from tests.dicom_factory import series
from tests.peers.pacs import Pacs
from tests.receive.scu import association, refusal
from tests.retraction.site import EVERY_CLASS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    with Pacs(sop_classes=[*EVERY_CLASS, SecondaryCaptureImageStorage]).running() as made:
        yield made


@pytest.fixture
def site(
    tmp_path: Path, threshold_store: Path, pacs: Pacs
) -> Iterator[tuple[NodeProcess, Repository]]:
    there, tls = repository(tmp_path / "ca")
    with there.running():
        pass  # it has a port, and is down
    peer = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
    said: dict[str, Any] = {
        "models": threshold_store,
        "peers": {"pacs": peer},
        "routes": [{"model": "threshold-ct", "send_to": ["pacs"]}],
    }
    node = NodeProcess(tmp_path / "node", **said)
    syslog = {"host": "127.0.0.1", "port": there.port, "tls": tls}
    node.configure(**said, sections={"audit": {"source_id": "node-1", "syslog": syslog}})
    yield node, there
    if node.process is not None:
        node.kill()


def test_the_trail_of_a_study_from_start_to_stop(
    site: tuple[NodeProcess, Repository], tmp_path: Path
) -> None:
    """Its repository comes up late, goes down, and has every message in the end."""
    node, there = site
    folder = node.home / "var" / "audit"
    node.start(timeout_s=200)
    instances = series(shape=(4, 16, 16), patient_id="CANARY-7")
    with association(node.port) as assoc:
        assert {assoc.send_c_store(ds).Status for ds in instances} == {0}
    with association(node.port, calling="INTRUDER") as assoc:
        assert refusal(assoc) == (1, 1, 3)
    with there.running():
        node.wait(lambda: "done" in {job["state"] for job in node.verb("jobs", "list")})
        node.wait(lambda: len(there.received) > 5)
    node.kill()
    node.start(timeout_s=200)
    # a role that is told to stop before it has begun says neither
    node.wait(lambda: sum(kind(each) == "Application Start" for each in messages(folder)) == 8)
    assert node.said("jobs", "cancel", "77") == 1
    with there.running():
        assert node.stop() == 0
        found = {event(each) for each in messages(folder)}
        assert found == {
            "Application Activity",
            "Begin Transferring DICOM Instances",
            "DICOM Instances Transferred",
            "Security Alert",
            "Security Alert 4",
        }
    started = [each for each in messages(folder) if kind(each) == "Application Start"]
    stopped = [each for each in messages(folder) if kind(each) == "Application Stop"]
    assert (len(started), len(stopped)) == (8, 4)  # four roles, of which a kill let none speak
    came, *went = [event(each) for each in messages(folder) if identified(each, "2") == "CANARY-7"]
    assert came == "DICOM Instances Transferred"
    assert set(went[::2]) == {"Begin Transferring DICOM Instances"}
    assert set(went[1::2]) == {came}
    assert len(went) % 2 == 0
    assert verify(folder).faults == ()
    assert "CANARY-7" not in node.log()
    assert_valid([line.body for line in every_line(folder)], tmp_path)
    _send_the_rest(node, there)


def _send_the_rest(node: NodeProcess, there: Repository) -> None:
    """What was said after the last connection goes at the next start."""
    folder = node.home / "var" / "audit"
    command = [sys.executable, "-m", "dicom_ai_node", "deliver", "--config", str(node.config)]
    with there.running(), subprocess.Popen(command, stderr=subprocess.DEVNULL) as deliver:
        wanted = [line.body for line in every_line(folder)]
        node.wait(lambda: set(there.bodies()) >= set(wanted))
        deliver.terminate()
    assert list(dict.fromkeys(there.bodies()))[: len(wanted)] == wanted
    assert json.loads((folder / "sent").read_text())[1] > 0
