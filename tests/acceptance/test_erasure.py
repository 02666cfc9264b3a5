"""A person deletes studies of a node of separate processes: one that is being worked on, one that
is delivered, one while the node is drained; and one whose deletion is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.durable_steps import VARIABLE, Step
from dicom_ai_node.models.installation.install import install, install_folder
from tests import dicom_factory
from tests.acceptance.loopback import descendants
from tests.acceptance.node_process import NodeProcess
from tests.receive.scu import association

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SLEEPER = """
kind: command
name: sleeper
version: "1.0"
title: Sleeps
command: [sleep, "3600"]
take: json
results: [sr]
"""


def named(name: str) -> dict[str, object]:
    return {"attr": "SeriesDescription", "op": "matches", "value": name}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """What is called slow goes to a program that never ends, all else to threshold-ct."""
    store, package = tmp_path / "models", tmp_path / "sleeper"
    package.mkdir()
    (package / "model.yaml").write_text(SLEEPER)
    sleeper = install_folder(package, store)
    install("threshold-ct", store, print)
    made = NodeProcess(tmp_path / "node", models=store, peers={}, routes=[])
    made.configure(
        models=store,
        peers={"archive": {"kind": "folder", "path": str(tmp_path / "results")}},
        routes=[
            {"model": "sleeper", "send_to": ["archive"], "require": [named("slow")]},
            {"model": "threshold-ct", "send_to": ["archive"], "require": [named("good")]},
        ],
        trusted_models=[sleeper.sha256],
    )
    try:
        yield made.start(timeout_s=200)
    finally:
        made.stop()


def study(name: str) -> list[Dataset]:
    return dicom_factory.series(name=name, shape=(12, 32, 32))


def send(node: NodeProcess, instances: list[Dataset]) -> str:
    with association(node.port) as assoc:
        assert {assoc.send_c_store(ds).Status for ds in instances} == {0}
    return str(instances[0].StudyInstanceUID)


def said(node: NodeProcess, *words: str) -> int:
    """The exit status of a verb. In this process: another one for each would take most of the
    test's time."""
    return CliRunner().invoke(app, [*words, "--config", str(node.config)]).exit_code


def verb(node: NodeProcess, *words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json", "--config", str(node.config)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def jobs(node: NodeProcess, uid: str) -> list[dict[str, object]]:
    return [each for each in verb(node, "jobs", "list") if each["study_instance_uid"] == uid]


def done(node: NodeProcess) -> int:
    return int(node.status()["jobs"]["done"])


def sleeps(node: NodeProcess) -> bool:
    assert node.process is not None
    for pid in descendants(node.process.pid):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"sleep\x003600\0"):
                return True
        except OSError:
            continue  # it has ended
    return False


def traces(node: NodeProcess, uid: str) -> list[Path]:
    """Files of the spool and of the database that hold this UID, or have it in their names."""
    files = [path for path in (node.home / "var").rglob("*") if path.is_file()]
    return [path for path in files if "audit" not in path.parts and mentions(path, uid)]


def mentions(path: Path, uid: str) -> bool:
    try:
        return uid in str(path) or uid.encode() in path.read_bytes()
    except FileNotFoundError:
        return False  # the node has removed it since


def results(node: NodeProcess, uid: str) -> set[str]:
    found = [pydicom.dcmread(path) for path in (node.home.parent / "results").rglob("*.dcm")]
    return {str(ds.SOPInstanceUID) for ds in found if ds.StudyInstanceUID == uid}


@pytest.mark.fault("H7")
def test_deleting_studies_is_safe_whatever_the_node_does(node: NodeProcess) -> None:
    """A running one, a delivered one, one while it drains; good studies go on, and afterwards."""
    slow = send(node, study("slow"))
    node.wait(lambda: sleeps(node))
    (told,) = verb(node, "studies", "delete", slow, "--yes")["deleted"]
    assert len(told["running"]) == 1
    assert jobs(node, slow) == []
    node.wait(lambda: not sleeps(node), timeout_s=60)
    node.wait(lambda: not traces(node, slow), timeout_s=5)

    good = send(node, study("good"))
    node.wait(lambda: done(node) == 1, timeout_s=120)
    (job,) = jobs(node, good)
    assert said(node, "jobs", "retry", str(job["id"])) == 1  # it is delivered
    first = results(node, good)
    assert len(first) >= 2
    (told,) = verb(node, "studies", "delete", good, "--yes")["deleted"]
    assert {each["peer"] for each in told["results_at"]} == {"archive"}
    assert results(node, good) == first  # what was delivered stays where it is
    assert traces(node, good) == []

    assert send(node, study("good")) == good  # the same images: a new study
    node.wait(lambda: done(node) == 1, timeout_s=120)
    again = results(node, good) - first
    assert len(again) == len(first)
    assert said(node, "drain") == 0
    assert said(node, "studies", "delete", good, "--yes") == 0
    assert said(node, "drain", "--off") == 0

    send(node, study("good too"))
    node.wait(lambda: done(node) == 1, timeout_s=120)
    found = node.status()
    assert found["balanced"]
    assert (found["instances"], found["deleted"]) == (12, 36)
    assert "lease_lost" in node.log()


def test_a_killed_deletion_is_finished_by_the_next_start(node: NodeProcess) -> None:
    uid = send(node, study("good"))
    node.wait(lambda: done(node) == 1, timeout_s=120)
    command = [sys.executable, "-m", "dicom_ai_node", "studies", "delete", uid, "--yes"]
    killed = subprocess.run(
        [*command, "--config", str(node.config)],
        env={**os.environ, VARIABLE: f"{Step.ERASURE_RECORDED}:1:kill"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert traces(node, uid)
    assert node.stop() == 0
    node.start(timeout_s=200)
    node.wait(lambda: not traces(node, uid))
    assert verb(node, "studies", "list") == []
    send(node, study("good"))
    node.wait(lambda: done(node) == 1, timeout_s=120)
