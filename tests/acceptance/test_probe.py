"""The node tries itself: its study goes the whole road to a real Orthanc, and is asked back."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from os import kill
from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node.database import probe_runs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.probe_runs import ProbeRun
from tests.acceptance.conftest import connected
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc
from tests.alarms.receivers import web_receiver

pytestmark = [pytest.mark.orthanc, pytest.mark.slow]

Road = tuple[NodeProcess, Orthanc]
PROBE = "AI_NODE_PROBE"


@pytest.fixture
def tried(tmp_path: Path, threshold_store: Path) -> Iterator[Road]:
    """A node that tries itself: at its start, and every 1000 hours."""
    with connected(tmp_path, model="threshold-ct", models=threshold_store, modality="CT") as both:
        node, pacs = both
        configured(node, pacs, threshold_store)
        yield both


def configured(
    node: NodeProcess,
    pacs: Orthanc,
    models: Path,
    alarms: dict[str, Any] | None = None,
    **probe: Any,
) -> None:
    node.configure(
        models=models,
        peers={
            "pacs": {
                "kind": "dimse",
                "ae_title": "ORTHANC",
                "host": "127.0.0.1",
                "port": pacs.dicom_port,
            }
        },
        routes=[
            {
                "model": "threshold-ct",
                "send_to": ["pacs"],
                "require": [{"attr": "Modality", "op": "eq", "value": "CT"}],
            }
        ],
        sections={
            "accept": [{"ae_title": PROBE, "from": ["127.0.0.1/32"]}],
            "probe": {"every_h": 1000, "peer": "pacs", **probe},
            "alarms": alarms or {},
        },
    )


def last(node: NodeProcess) -> dict[str, Any]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dicom_ai_node", "probe", "--last", "--json"),
            *("--config", str(node.config)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(json.loads(done.stdout)) if done.stdout else {}


def ended(node: NodeProcess) -> dict[str, Any]:
    """The last run, once it is over."""
    return dict(node.wait(lambda: run if (run := last(node)).get("finished_at") else None))


def probed(node: NodeProcess) -> tuple[int, str]:
    """`probe`, as a person gives it."""
    done = subprocess.run(
        [sys.executable, "-m", "dicom_ai_node", "probe", "--config", str(node.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_it_goes_to_the_pacs_and_back_and_each_stage_is_said(tried: Road) -> None:
    node, pacs = tried
    node.start()
    first = ended(node)  # by its own clock
    assert first["passed"], first
    study = first["study_instance_uid"]
    assert len(pacs.qido(study, "SEG")) == len(pacs.qido(study, "SR")) == 1
    (found,) = pacs.json(f"/dicom-web/studies?StudyInstanceUID={study}&includefield=00100020")
    assert found["00100020"]["Value"] == ["AI-NODE-PROBE"]

    status, said = probed(node)
    assert status == 0, said
    assert "ok  pacs has every result, by query" in said
    assert "passed in" in said
    assert last(node)["study_instance_uid"] != study  # each run is a study of its own
    assert node.verb("alarms", "list") == []


def test_a_run_under_way_ends_where_the_probe_is_taken_out(tried: Road) -> None:
    """By a reload; with the PACS down, it would go on waiting for it."""
    node, pacs = tried
    pacs.stop()
    node.start()
    node.wait(lambda: last(node).get("stage") == "delivering")
    file = node.config / "node.yaml"
    settings = json.loads(file.read_text())
    del settings["probe"]
    file.write_text(json.dumps(settings))
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)
    database = Database(f"sqlite:///{node.home}/var/node.db")
    with closing(database):
        run = node.wait(lambda: _finished(database), timeout_s=90)
    assert "taken out of the configuration" in run.reason


def _finished(database: Database) -> ProbeRun | None:
    with database.read() as connection:
        return probe_runs.last_finished(connection)


def test_a_pacs_that_is_down_becomes_an_alarm_that_somebody_is_told_of(
    tried: Road, threshold_store: Path
) -> None:
    """By the processes of the node, one of which is killed on the way; and what was wrong ends."""
    node, pacs = tried
    with web_receiver() as hook:
        alarms = {"webhooks": [{"url": hook.url}]}
        configured(node, pacs, threshold_store, alarms, within_min=0.05)
        pacs.stop()
        node.start()
        assert ended(node)["passed"] is False  # wherever it is after six seconds
        node.wait(lambda: node.verb("alarms", "list"), timeout_s=90)
        deliver = node.pid_of("deliver")
        assert deliver is not None
        kill(deliver, signal.SIGKILL)
        node.wait(lambda: hook.bodies)
        (told,) = {each["id"]: each for each in hook.messages()}.values()
        assert (told["name"], told["subject"], told["what"]) == ("probe_failed", "pacs", "raised")

        configured(node, pacs, threshold_store, alarms)  # with more time
        node.stop()
        pacs.start()
        node.start()
        status, said = probed(node)
        assert status == 0, said
        node.wait(lambda: not node.verb("alarms", "list"), timeout_s=90)
        node.wait(lambda: hook.messages()[-1]["what"] == "ended")
