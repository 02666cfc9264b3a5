"""What a scrape says after studies went through, and what it never says (P20)."""

import copy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import JobState, Priority
from dicom_ai_node.observe.answers import Answers
from dicom_ai_node.observe.observed import Observed
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.database.made import enqueued
from tests.delivering import queue_of
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import bright
from tests.observe.scraped import get, kept_in, numbers
from tests.peers.pacs import Pacs
from tests.receive.scu import association
from tests.tools import missing_tool

CANARY = "KANARIENVOGEL"
_TEXT = {"PN", "LO", "SH", "LT", "ST", "UT", "AE"}


def a_canary(name: str = "canary", *, number: int = 4) -> list[Dataset]:
    """Every text in it is unmistakable."""
    made = [copy.deepcopy(ds) for ds in series(name=name, shape=(number, 24, 20))]
    for ds in made:
        ds.AccessionNumber = ds.StudyID = ds.StudyDescription = ds.SeriesDescription = "-"
        ds.PatientComments = ds.InstitutionName = ds.OperatorsName = ds.StationName = "-"
        ds.ReferringPhysicianName = ds.ProtocolName = ds.PerformingPhysicianName = "-"
        ds.BodyPartExamined = CANARY
        ds.PatientBirthDate, ds.PatientAge = "19061109", "117Y"
        for element in ds:
            if element.VR in _TEXT and element.keyword != "RescaleType":
                element.value = CANARY[:16]
    return made


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    """It takes whatever a node makes."""
    known = [UID(str(each.abstract_syntax)) for each in AllStoragePresentationContexts]
    opened = Pacs(sop_classes=known)
    with opened.running():
        yield opened


def through(
    road: Road, pacs: Pacs, images: list[Dataset], *, calling: str = "PACS"
) -> tuple[str, ...]:
    """Received, judged, worked on, delivered; every UID of it."""
    receiver = Receiver(road.config, road.spool, road.database)
    with receiver.running() as port, association(port, calling=calling) as assoc:
        for ds in images:
            assert assoc.send_c_store(ds).Status == 0
        assert assoc.send_c_store(images[0]).Status == 0  # once more
    road.intake.settle_quiet(now=road.database.now())
    road.work()
    queue_of(pacs, road.config, road.spool, road.database).deliver_due(now=road.database.now())
    (job,) = road.jobs()
    made = [job.key, *(str(path) for path in road.objects(job).values())]
    uids = {str(e.value) for ds in images for e in ds if e.VR == "UI"}
    return (*made, *(uid for uid in uids if "1.2.840.10008" not in uid))


SENDING = {
    "study": {"quiet_s": 0.001},
    "peers": {"pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}},
    "routes": [
        {
            "model": "bright",
            "send_to": ["pacs"],
            "require": [{"attr": "Modality", "op": "eq", "value": "CT"}],
        }
    ],
}


@pytest.fixture
def road(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Road:
    models = {"bright": bright(tmp_path / "models")}
    return Road(config=config, spool=spool, database=database, models=models)


@pytest.mark.parametrize("config", [SENDING], indirect=True)
@pytest.mark.usefixtures("alive")
def test_a_study_that_went_through_is_counted_and_not_named(
    address: str, road: Road, pacs: Pacs
) -> None:
    uids = through(road, pacs, a_canary())
    found = {path: get(f"{address}{path}") for path in ("/metrics", "/status.json", "/", "/x")}
    found |= {path: get(f"{address}/health/{path}") for path in ("live", "ready")}
    said = "\n".join(f"{each.body}\n{each.headers}" for each in found.values())
    for secret in (CANARY, CANARY[:16], "19061109", "117Y", *uids):
        assert secret not in said
        assert secret.lower() not in said.lower()

    metrics = numbers(found["/metrics"].body)
    expected = {
        'received_total{answer="stored"}': 4,
        'received_total{answer="duplicate"}': 1,
        'instances_answered_total{calling_ae="PACS",status="0000"}': 5,
        'associations_accepted_total{calling_ae="PACS"}': 1,
        'associations_ended_total{how="released"}': 1,
        'associations_open{calling_ae="PACS"}': 0,
        'store_seconds_count{calling_ae="PACS"}': 5,
        'studies{state="routed"}': 1,
        'instances{state="routed"}': 4,
        'jobs{state="done"}': 1,
        "books_balanced": 1,
        'stage_seconds_count{model="",stage="complete"}': 1,
        'peer_backlog_objects{peer="pacs"}': 0,
        'jobs_finished_total{model="bright",outcome="findings",version="1.0"}': 1,
        'ready{part="work"}': 1,
        'ready{part="database"}': 1,
    }
    assert {name: metrics.get(name) for name in expected} == expected
    for stage in ("queued", "load", "predict", "encode", "publish", "deliver"):
        assert metrics[f'stage_seconds_count{{model="bright",stage="{stage}"}}'] == 1, stage
    assert metrics['deliveries{peer="pacs",state="stored"}'] == len(pacs.received)
    assert metrics['delivery_tries_total{peer="pacs",result="stored"}'] == len(pacs.received)
    assert metrics['peer_last_contact_timestamp_seconds{peer="pacs"}'] > 1.7e9
    assert metrics['received_bytes_total{calling_ae="PACS"}'] > 5 * 32


@pytest.mark.parametrize("config", [SENDING], indirect=True)
@pytest.mark.usefixtures("alive")
def test_what_was_refused_is_counted_by_its_reason(address: str, road: Road, pacs: Pacs) -> None:
    """A caller that nobody knows is a number, and its title stands nowhere."""
    receiver = Receiver(road.config, road.spool, road.database)
    with receiver.running() as port:
        with association(port, calling="FREMDER") as stranger:
            assert stranger.is_rejected
        with association(port, called="WRONG") as wrong:
            assert wrong.is_rejected
    body = get(f"{address}/metrics").body
    found = numbers(body)
    assert found['associations_refused_total{reason="calling_ae_unknown"}'] >= 1
    assert found['associations_refused_total{reason="called_ae_unknown"}'] >= 1
    assert "FREMDER" not in body
    assert "WRONG" not in body


def test_the_queue_by_priority(observed: Observed, database: Database) -> None:
    """What waits for its hours is counted, and is not late."""
    now = database.now()
    with database.write() as connection:
        enqueued(connection, "a", now=now - 100)
        enqueued(connection, "b", now=now - 300)
        urgent = enqueued(connection, "c", now=now - 10)
        jobs.prioritise(connection, urgent, Priority.URGENT)
        connection.exec_driver_sql("UPDATE job SET run_after = ? WHERE key = 'b'", (now + 3600,))
    found = {
        (sample.name, sample.labels.get("priority")): sample.value
        for metric in Answers(observed).metrics()
        for sample in metric.samples
    }
    assert found["dicom_ai_node_queue_jobs", "routine"] == 2
    assert found["dicom_ai_node_queue_jobs", "urgent"] == 1
    assert found["dicom_ai_node_queue_jobs", "background"] == 0
    assert 9 < found["dicom_ai_node_queue_oldest_age_seconds", "urgent"] < 60
    assert 99 < found["dicom_ai_node_queue_oldest_age_seconds", "routine"] < 160
    assert found["dicom_ai_node_queue_oldest_age_seconds", "background"] == 0


@pytest.mark.parametrize("config", [SENDING], indirect=True)
def test_alarms_and_what_waits_for_a_peer(observed: Observed, database: Database) -> None:
    now = database.now()
    with database.write() as connection:
        for number, severity in enumerate(("warning", "critical", "critical")):
            connection.exec_driver_sql(
                "INSERT INTO alarm "
                "(name, text, subject, severity, since, seen_at, told_at, ended_at) "
                "VALUES ('disk_low', 'x', ?, ?, ?, ?, ?, ?)",
                (f"disk {number}", severity, now, now, now, now if number == 2 else None),
            )
    found = {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for metric in Answers(observed).metrics()
        for sample in metric.samples
    }
    assert found["dicom_ai_node_active_alarms", ("disk_low", "warning")] == 1
    assert found["dicom_ai_node_active_alarms", ("critical", "disk_low")] == 1
    assert found["dicom_ai_node_peer_backlog_objects", ("pacs",)] == 0


@pytest.mark.usefixtures("alive")
def test_without_a_database_the_rest_is_said_all_the_same(address: str, database: Database) -> None:
    database.path.write_bytes(b"this is no database" * 1000)
    status, body, _ = get(f"{address}/metrics")
    found = numbers(body)
    assert status == 200
    assert found['ready{part="database"}'] == 0
    assert found['disk_free_bytes{disk="spool"}'] > 0
    assert found['heartbeat_timestamp_seconds{loop="jobs",role="work"}'] > 1.7e9
    assert "books_balanced" not in found


@pytest.mark.parametrize("config", [SENDING], indirect=True)
@pytest.mark.usefixtures("alive")
def test_promtool_finds_nothing_wrong_with_a_scrape(address: str, road: Road, pacs: Pacs) -> None:
    """Names, units, types, texts: as Prometheus' own rules have them."""
    promtool = shutil.which("promtool") or missing_tool("promtool")
    through(road, pacs, a_canary("linted"))
    body = get(f"{address}/metrics").body
    done = subprocess.run(
        [str(promtool), "check", "metrics"], input=body, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_jobs_of_every_state_are_there_before_any_is(observed: Observed) -> None:
    """A query for what is not there yet must say 0, not nothing."""
    (of_jobs,) = (m for m in Answers(observed).metrics() if m.name == "dicom_ai_node_jobs")
    assert {s.labels["state"]: s.value for s in of_jobs.samples} == dict.fromkeys(JobState, 0)


def test_the_same_number_of_labels_however_many_studies(spool: Spool) -> None:
    """What an attempt process says of its failure is one of a few words."""
    from dicom_ai_node.engines.engine import Failure, kind_in_words

    with kept_in(spool.metrics, "work"):
        kinds = {kind_in_words(Failure(kind=f"DOE^JOHN {n}", text="")) for n in range(100)}
    assert kinds == {"other"}
