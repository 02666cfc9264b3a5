"""A configuration that changes under a whole node: taken whole or not, and no work is lost."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_ai_node.database import jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import JobState
from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.peers.pacs import Pacs
from tests.receive.scu import CT, association, slices
from tests.retraction.site import EVERY_CLASS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HERE = ["127.0.0.1/32"]


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    made = Pacs(sop_classes=[*EVERY_CLASS, SecondaryCaptureImageStorage])
    with made.running():
        yield made


@pytest.fixture
def said(threshold_store: Path, pacs: Pacs) -> dict[str, Any]:
    return {
        "models": threshold_store,
        "peers": {
            "pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
        },
        "routes": [{"model": "threshold-ct", "send_to": ["pacs"]}],
    }


@pytest.fixture
def node(tmp_path: Path, said: dict[str, Any]) -> Iterator[NodeProcess]:
    made = NodeProcess(tmp_path / "node", **said)
    yield made.start(timeout_s=200)
    if made.process is not None:
        made.kill()


def reload(node: NodeProcess) -> tuple[int, str]:
    """Patient: where much else runs, a role needs a minute to come back."""
    return asked(node, "reload --wait 240")


def asked(node: NodeProcess, words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "dicom_ai_node", *words.split(), "--config", str(node.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def events(node: NodeProcess, event: str) -> list[dict[str, Any]]:
    lines = (line for line in node.log().splitlines() if line.startswith("{"))
    return [each for each in map(json.loads, lines) if each["event"] == event]


def runs_of(node: NodeProcess) -> list[tuple[JobState, int, int]]:
    """Of each job: its state, its attempts, and how often one was begun."""
    database = Database(f"sqlite:///{node.home}/var/node.db")
    with closing(database), database.read() as connection:
        found = jobs.listing(connection)
        return [
            (
                job.state,
                job.attempts,
                sum(row["to_state"] == "running" for row in jobs.events(connection, job.id)),
            )
            for job in found
        ]


@pytest.mark.fault("H2")
def test_no_association_and_no_job_is_lost_or_repeated(
    node: NodeProcess, said: dict[str, Any]
) -> None:
    """A job runs and an association is open while a sender, a peer and a limit are added."""
    with association(node.port, [CT]) as before:
        first, *rest = dicom_factory.series(name="reloaded", shape=(60, 64, 64))
        assert before.send_c_store(first).Status == 0x0000
        with association(node.port, [CT]) as running:
            for ds in dicom_factory.series(name="running", shape=(60, 64, 64)):
                assert running.send_c_store(ds).Status == 0x0000
        node.wait(lambda: any(state is JobState.RUNNING for state, *_ in runs_of(node)))
        archive = {"kind": "folder", "path": str(node.home / "archive")}
        scanner = {"ae_title": "SCANNER", "from": HERE}
        node.configure(
            **{**said, "peers": {**said["peers"], "archive": archive}},
            sections={
                "accept": [{"ae_title": "PACS", "from": HERE}, scanner],
                "work": {"lease_s": 60, "threads": 1},
            },
        )
        status, text = reload(node)
        assert status == 0, text + node.log()
        assert "accept" in text
        assert "work.threads" in text
        for ds in rest:
            assert before.send_c_store(ds).Status == 0x0000
        with association(node.port, [CT], calling="SCANNER") as new:
            assert new.send_c_store(slices(name="new")[0]).Status == 0x0000
    node.wait(
        lambda: (
            len(runs_of(node)) >= 2 and all(state is JobState.DONE for state, *_ in runs_of(node))
        ),
        timeout_s=240,
    )
    assert all((attempts, begun) == (1, 1) for _, attempts, begun in runs_of(node))
    assert events(node, "role_died") == []
    assert events(node, "job_taken_back") == []
    assert node.stop() == 0


@pytest.mark.fault("H2")
def test_what_is_half_edited_is_nobodys_start(node: NodeProcess, said: dict[str, Any]) -> None:
    """A reload is refused, and says why; a role that is killed meanwhile comes back all the same,
    and so does the node when the file is whole again."""
    file = node.config / "node.yaml"
    good = file.read_text()
    file.write_text(good[: len(good) // 2])
    status, text = reload(node)
    assert status == 2
    assert "node.yaml:" in text
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)
    node.wait(lambda: events(node, "configuration_not_reloaded"))
    for role in ("work", "receive"):
        pid = node.pid_of(role)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        node.wait(lambda r=role, p=pid: node.pid_of(r) not in (None, p))
    node.wait(lambda: node.log().count("receiver_listening") == 2)
    with association(node.port, [CT]) as assoc:
        assert assoc.send_c_store(slices(name="half")[0]).Status == 0x0000
    file.write_text(good)
    assert reload(node)[0] == 0
    assert node.stop() == 0


def test_a_mistake_in_the_files_leaves_the_kill_switch_to_who_has_a_running_node(
    node: NodeProcess,
) -> None:
    file = node.config / "node.yaml"
    good = file.read_text()
    file.write_text(good.replace("{", '{"bogus": 1, ', 1))
    for words in ("models disable threshold-ct", "models enable threshold-ct", "jobs list"):
        status, text = asked(node, words)
        assert status == 0
        assert "which `dicom-ai-node check` names" in text
    assert "the node runs, and would not start again: " in asked(node, "doctor")[1]
    assert node.stop() == 0
    status, text = asked(node, "jobs list")
    assert (status, "bogus" in text) == (2, True)


def test_what_a_role_cannot_run_with_is_taken_back(node: NodeProcess, said: dict[str, Any]) -> None:
    """The fence asks for a user whom the files may name, and whom only work itself can become."""
    node.configure(**said, sections={"work": {"lease_s": 3, "user": "nobody-knows-whom"}})
    status, text = reload(node)
    assert (status, "work.user" in text) == (2, True)
    node.configure(**said, port=node.port + 1)
    status, text = reload(node)
    assert (status, "node.port" in text, "restart" in text) == (2, True, True)
    assert node.verb("status")["not_in_force"] == ["node.port"]
    assert node.stop() == 0
    assert reload(node)[0] == 1  # nobody runs
