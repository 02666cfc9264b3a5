"""`probe` where nobody would do what it asks for: it says what is missing, and never hangs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_ai_node import in_force
from dicom_ai_node.cli import probe as verb
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import probe_runs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.probe_runs import Stage
from dicom_ai_node.in_force import InForce
from dicom_ai_node.probe.run import begin
from dicom_ai_node.spool import Spool, is_held
from tests.made import configuration
from tests.operator import Operator

PROBE = "AI_NODE_PROBE"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configuration(
        tmp_path,
        accept=[{"ae_title": PROBE, "from": ["127.0.0.1/32"]}],
        peers={"pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}},
        routes=[{"model": "threshold-ct", "send_to": ["pacs"]}],
        probe={"every_h": 1000, "peer": "pacs"},
    )


@pytest.fixture
def operator(config: Config, tmp_path: Path) -> Operator:
    made = Operator(tmp_path, config)
    file = made.config / "routes.yaml"
    file.write_text("routes: [{model: threshold-ct, send_to: [pacs]}]")
    return made


@contextmanager
def running(spool: Spool, config: Config) -> Iterator[None]:
    in_force.write(spool, "run", InForce(config=config))
    with spool.lock("run"):
        yield


def test_a_node_that_does_not_run_is_named_at_once_and_no_run_is_begun(
    operator: Operator, database: Database
) -> None:
    status, said = operator.ask("probe")
    assert (status, "the node does not run: start it" in said) == (1, True)
    with database.read() as connection:
        assert probe_runs.last(connection) is None


def test_a_probe_that_the_node_has_not_taken_yet_needs_a_reload(
    operator: Operator, spool: Spool, config: Config, database: Database
) -> None:
    with running(spool, config.model_copy(update={"probe": None})):
        status, said = operator.ask("probe")
    assert (status, "`dicom-ai-node reload`" in said) == (1, True)


def test_a_run_that_the_node_left_when_it_was_stopped_is_not_waited_for(
    operator: Operator,
    spool: Spool,
    config: Config,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verb, "_NOBODY_S", 0.6)
    assert config.probe is not None
    with database.write() as connection:
        run = begin(connection, config.probe, now=database.now())
        probe_runs.note(connection, run, Stage.WORKING, waits_for="job 1", now=database.now())
    leave = threading.Event()

    def hold() -> None:
        with running(spool, config):
            leave.wait(30)

    node = threading.Thread(target=hold)
    node.start()
    threading.Timer(1.0, leave.set).start()
    try:
        while not is_held(spool.locks / "run.lock"):
            time.sleep(0.02)
        status, said = operator.ask("probe")
    finally:
        leave.set()
        node.join()
    assert (status, "does not run any more" in said) == (1, True)
    short = config.probe.model_copy(update={"within_min": 0.001})
    monkeypatch.setattr(verb, "_NOBODY_S", 0.2)
    with running(spool, config):
        node_config = config.model_copy(update={"probe": short})
        in_force.write(spool, "run", InForce(config=node_config))
        (operator.config / "probe.yaml").write_text("probe: {within_min: 0.001}")
        status, said = operator.ask("probe")
    assert (status, "does not go on with it" in said) == (1, True)
