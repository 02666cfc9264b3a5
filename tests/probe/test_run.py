"""The probe from its sending to its end, one stage after the other, with a real Orthanc."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dicom_ai_node.config.disabled import disable, enable
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.store import read_store
from dicom_ai_node.database import probe_runs, signs, studies
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.probe_runs import ProbeRun, Stage
from dicom_ai_node.database.tables import study
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.intake.plan import Plan, Planner
from dicom_ai_node.models.installation.install import install
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.probe.ending import wind_up
from dicom_ai_node.probe.run import Probe
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState
from tests import dicom_factory
from tests.acceptance.loopback import free_port, own_network
from tests.acceptance.orthanc import Orthanc, executable
from tests.intake.in_process import Road
from tests.made import IS_CT, arrive, configuration
from tests.tools import missing_tool

pytestmark = pytest.mark.orthanc

PROBE = "AI_NODE_PROBE"
MINUTE = 60.0


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if executable() is None:
        missing_tool("Orthanc")
    with own_network():
        started = Orthanc(tmp_path_factory.mktemp("pacs"), node_port=free_port(), routing=False)
        try:
            yield started.start()
        finally:
            started.stop()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    install("threshold-ct", store, print)
    return store


@dataclass
class Tried:
    """A node that tries itself, in this process; its receiver is a real one."""

    config: Config
    spool: Spool
    database: Database
    installed: dict[str, InstalledModel]
    pacs: Orthanc

    def __post_init__(self) -> None:
        assert self.config.probe is not None
        self.probe = Probe(
            config=self.config,
            settings=self.config.probe,
            spool=self.spool,
            database=self.database,
            models=self.installed,
        )
        self.road = Road(self.config, self.spool, self.database, self.installed)
        self.queue = PeerQueue(
            name="pacs",
            peer=open_peer(self.config.peers["pacs"], self.config.node),
            spool=self.spool,
            database=self.database,
            settings=self.config.delivery,
        )
        self.began = self.database.now()

    def look(self, *, after_min: float = 0) -> ProbeRun:
        """The tick, so long after the beginning; the run as it is then."""
        self.probe.tick(now=self.began + after_min * MINUTE)
        return self.run

    @property
    def run(self) -> ProbeRun:
        with self.database.read() as connection:
            found = probe_runs.last(connection)
        assert found is not None
        return found

    def judge(self) -> None:
        deadline = time.monotonic() + 20
        while not self.road.intake.settle_quiet(now=self.database.now()):
            assert time.monotonic() < deadline

    def chosen(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(job.model, job.send_to) for job in self.road.jobs()]

    def reload_without_probe(self) -> None:
        self.config = self.config.model_copy(update={"probe": None})
        self.road = Road(self.config, self.spool, self.database, self.installed)

    def deliver(self) -> None:
        while self.queue.deliver_due(now=self.database.now()):
            pass

    def study(self) -> StudyState:
        with self.database.read() as connection:
            row = studies.find(connection, self.run.study_instance_uid)
        assert row is not None
        return StudyState(row["state"])


@pytest.fixture
def tried(
    tmp_path: Path, pacs: Orthanc, models: Path, empty_database: Path
) -> Iterator[Callable[..., Tried]]:
    opened: list[tuple[Receiver, Database]] = []

    def make(**changes: Any) -> Tried:
        config = configuration(
            tmp_path,
            node={"port": free_port(), "models": models},
            accept=[{"ae_title": PROBE, "from": ["127.0.0.1/32"]}],
            study={"quiet_s": 0.01},
            delivery={"backoff_max_s": 0.1},
            peers={
                "pacs": {
                    "kind": "dimse",
                    "ae_title": "ORTHANC",
                    "host": "127.0.0.1",
                    "port": pacs.dicom_port,
                    **changes.pop("peer", {}),
                },
                "clinic": {"kind": "folder", "path": tmp_path / "clinic"},
                "research": {"kind": "folder", "path": tmp_path / "research"},
            },
            routes=[
                {"model": "threshold-ct", "send_to": ["pacs", "clinic"], "require": [IS_CT]},
                {"model": "other", "name": "research", "send_to": ["research"], "require": [IS_CT]},
            ],
            probe={"every_h": 24, "peer": "pacs", "within_min": 15, **changes},
        )
        database = Database(config.node.database)
        database.path.write_bytes(empty_database.read_bytes())
        spool = Spool(config.node.spool)
        receiver = Receiver(config, spool, database)
        receiver.start()
        opened.append((receiver, database))
        return Tried(config, spool, database, dict(read_store(models).by_label()), pacs)

    yield make
    for receiver, database in opened:
        receiver.stop()
        database.close()


def test_each_stage_is_passed_by_what_really_happened(tried: Callable[..., Tried]) -> None:
    node = tried()
    assert (node.look().stage, node.study()) == (Stage.JUDGING, StudyState.RECEIVING)
    node.judge()
    assert node.look().stage is Stage.WORKING
    # the others take CT, and not the study of nobody
    assert node.chosen() == [("threshold-ct", ("pacs",))]
    assert node.road.work() == 1
    assert node.look().stage is Stage.DELIVERING
    node.deliver()
    run = node.look(after_min=1)
    assert run.passed, run.reason
    assert len(node.pacs.qido(run.study_instance_uid, "SR")) == 1


def test_it_is_in_no_statistics_and_is_purged_early(tried: Callable[..., Tried]) -> None:
    node = tried()
    node.look()
    node.judge()
    node.look()
    node.road.work()
    with node.database.read() as connection:
        now = node.database.now() + 1000
        assert signs.answers(connection, since=0, until=now) == {}
        assert signs.last_received(connection) is None
    node.deliver()
    assert node.look(after_min=1).passed
    assert node.study() is StudyState.ROUTED
    node.look(after_min=62)
    assert node.study() is StudyState.PURGED


def test_the_next_run_is_of_another_study_in_its_time(tried: Callable[..., Tried]) -> None:
    node = tried()
    node.look()
    first = node.run
    node.judge()
    node.look()
    node.road.work()
    node.deliver()
    assert node.look(after_min=1).passed
    assert node.look(after_min=23 * 60).id == first.id
    second = node.look(after_min=24 * 60 + 1)
    assert second.id != first.id
    assert second.study_instance_uid != first.study_instance_uid
    assert node.study() is StudyState.RECEIVING


def test_a_pacs_that_is_down_is_late_and_then_a_failure_that_says_so(
    tried: Callable[..., Tried],
) -> None:
    node = tried(peer={"port": free_port(), "connect_timeout_s": 1})
    node.look()
    node.judge()
    node.look()
    node.road.work()
    node.deliver()
    run = node.look(after_min=16)
    assert (run.stage, run.finished_at) == (Stage.DELIVERING, None)
    assert "does not answer" in (run.waits_for or "")
    run = node.look(after_min=31)
    assert (run.stage, run.passed) == (Stage.DELIVERING, False)
    assert "does not answer" in (run.reason or "")
    with node.database.read() as connection:
        assert books(connection).waiting_for == {}  # nothing of it is sent later
        assert not any(books(connection).dead_letters.values())


def test_results_that_the_pacs_has_lost_are_a_failure(tried: Callable[..., Tried]) -> None:
    node = tried()
    node.look()
    node.judge()
    node.look()
    node.road.work()
    node.deliver()
    uid = node.run.study_instance_uid
    body = {"Level": "Study", "Query": {"StudyInstanceUID": uid}}
    (found,) = json.loads(node.pacs.request("/tools/find", json.dumps(body).encode()))
    _delete(node.pacs, f"/studies/{found}")
    run = node.look(after_min=1)
    assert (run.stage, run.finished_at) == (Stage.ASKING, None)  # it may be in no index yet
    run = node.look(after_min=16)
    assert (run.stage, run.passed) == (Stage.ASKING, False)
    assert "does not name 3 of them" in (run.reason or "")


def test_a_disabled_model_is_a_failure_at_once(tried: Callable[..., Tried], models: Path) -> None:
    node = tried()
    model = node.installed["threshold-ct"]
    disable(models, model, why="a test", now=0)
    try:
        node.look()
        node.judge()
        run = node.look()
    finally:
        enable(models, model.package.name, model.package.version)
    assert (run.stage, run.passed) == (Stage.WORKING, False)
    assert run.reason == "threshold-ct 1.0.0 is disabled: a test"
    assert [job.state for job in node.road.jobs()] == ["cancelled"]


def test_a_wrong_answer_is_a_failure_that_names_both_numbers(
    tried: Callable[..., Tried],
) -> None:
    """The model takes another range for bone than when its answer became known."""
    node = tried()
    model = node.installed["threshold-ct"]
    package = model.package.model_copy(update={"between": {"image": (-2000, 3000)}})
    node.road.worker = replace(
        node.road.worker, models={"threshold-ct": model.model_copy(update={"package": package})}
    )
    node.look()
    node.judge()
    node.look()
    node.road.work()
    node.deliver()
    run = node.look(after_min=1)
    assert (run.stage, run.passed) == (Stage.COMPARING, False)
    assert run.reason == ("the answer is wrong: Bone 1: Volume is 460.8, and 28.8 ± 0.288 was due")


def test_a_receiver_that_refuses_the_probe_is_named(tried: Callable[..., Tried]) -> None:
    node = tried(ae_title="STRANGER")
    run = node.look()
    assert run.stage is Stage.SENDING
    assert "the node's own receiver" in (run.waits_for or "")
    run = node.look(after_min=31)
    assert (run.stage, run.passed) == (Stage.SENDING, False)


def test_a_probe_that_is_taken_out_of_the_configuration_reaches_no_clinic(
    tried: Callable[..., Tried],
) -> None:
    """Whoever is first: intake, or the tick that ends the run."""
    node = tried()
    node.look()
    node.reload_without_probe()
    node.judge()
    assert node.chosen() == [("threshold-ct", ("pacs",))]
    wind_up(node.spool, node.database, now=node.database.now())
    assert (node.run.stage, node.run.passed) == (Stage.JUDGING, False)
    assert "taken out of the configuration" in (node.run.reason or "")
    assert [job.state for job in node.road.jobs()] == ["cancelled"]
    assert node.road.work() == 0


def test_a_patients_study_under_the_probes_title_has_every_route(
    tried: Callable[..., Tried],
) -> None:
    node = tried()
    node.look()
    node.road.models["other"] = node.installed["threshold-ct"]
    now = node.database.now() - 1
    arrive(node.spool, node.database, dicom_factory.series(), now=now, calling=PROBE)
    with node.database.read() as connection:
        other = [row["id"] for row in connection.execute(select(study)).mappings()][-1]
    deadline = time.monotonic() + 20
    while len(node.road.jobs()) < 2:
        node.road.intake.settle_quiet(now=node.database.now())
        assert time.monotonic() < deadline
    found = {job.send_to for job in node.road.jobs() if job.study_id == other}
    assert found == {("pacs", "clinic", "research")}


def test_of_a_run_that_has_failed_nothing_is_made_and_its_images_go(
    tried: Callable[..., Tried],
) -> None:
    """Its study becomes complete only after it has failed, and after the day that it is kept."""
    node = tried(every_h=1000)
    node.look()
    assert node.look(after_min=31).passed is False
    node.look(after_min=25 * 60)
    assert node.study() is StudyState.RECEIVING  # it cannot be purged yet
    node.judge()
    assert node.study() is StudyState.REFUSED
    assert node.road.jobs() == []
    with node.database.read() as connection:
        row = studies.find(connection, node.run.study_instance_uid)
    assert row is not None
    assert row["reason"] == "it is of a trial of the node that has ended"
    node.look(after_min=25 * 60)
    assert node.study() is StudyState.PURGED
    with node.database.read() as connection:
        later = node.began + 26 * 60 * MINUTE
        assert probe_runs.to_remove(connection, passed_before=later, failed_before=later) == []


def test_a_run_that_ends_while_its_study_is_judged_leaves_no_job(
    tried: Callable[..., Tried], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tried()
    node.look()
    plan = Planner.plan

    def slow(*given: Any, **named: Any) -> Plan:
        wind_up(node.spool, node.database, now=node.database.now())
        return plan(*given, **named)

    monkeypatch.setattr(Planner, "plan", slow)
    node.judge()
    assert (node.study(), node.road.jobs()) == (StudyState.REFUSED, [])


def _delete(pacs: Orthanc, path: str) -> None:
    import urllib.request

    request = urllib.request.Request(f"http://127.0.0.1:{pacs.http_port}{path}", method="DELETE")
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
