"""The worker: one job to its end under a lease, whatever happens to the attempt."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

from dicom_ai_node import attempt
from dicom_ai_node.config.disabled import disable, enable, read_disabled
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, earlier, jobs, leases, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.retracted import RETRACTED
from dicom_ai_node.database.tables import job_event
from dicom_ai_node.engines.engine import Failure, Room
from dicom_ai_node.engines.local import LocalEngine
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.job import Job, JobState, Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.rescan import describe
from dicom_ai_node.report import REPORT, Report, read_report
from dicom_ai_node.request import Request
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import IMAGE, LOST_INSTANCES
from dicom_ai_node.work import Worker
from tests.database.made import enqueued
from tests.dicom_factory import series
from tests.gate.told import hand_over, object_of
from tests.made import arrive, bright
from tests.receive.scu import store


def report(request: Request, name: str = "1-seg.dcm") -> Report:
    """A finished attempt: its folder, as `attempt.run` leaves it."""
    return hand_over(request.folder, object_of(request.source.path), name=name)


class Scripted:
    """An engine whose attempts end as the test says; None: it goes on for ever."""

    def __init__(self, *script: Callable[[Request], Report | Failure | None]) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.killed = 0

    def room(self) -> Room:
        return Room.FREE

    def wait(self, wait_s: float) -> None: ...

    def submit(self, request: Request, *, alone: bool = False) -> "Scripted":
        self.requests.append(request)
        return self

    def poll(self, wait_s: float) -> Report | Failure | None:
        act = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return act(self.requests[-1])

    def kill(self) -> None:
        self.killed += 1

    def close(self) -> None: ...


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def model(tmp_path: Path) -> InstalledModel:
    return bright(tmp_path)


@pytest.fixture
def job(config: Config, spool: Spool, database: Database, model: InstalledModel) -> Job:
    """A study has come and is queued."""
    arrive(spool, database, series(), now=database.now() - 1000)
    intake = Intake(config=config, models={"bright": model}, spool=spool, database=database)
    intake.settle_quiet(now=database.now())
    with database.read() as connection:
        (queued,) = jobs.listing(connection)
    return queued


@pytest.fixture
def worker(
    config: Config, spool: Spool, database: Database, model: InstalledModel
) -> Callable[..., Worker]:
    def make(engine: object, **changes: object) -> Worker:
        made = Worker(
            name="here",
            config=config,
            models={"bright": model},
            spool=spool,
            database=database,
            engine=engine,  # type: ignore[arg-type]
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    return make


def now_is(database: Database, job: Job) -> Job:
    with database.read() as connection:
        found = jobs.find(connection, job.id)
    assert found is not None
    return found


def retried(database: Database) -> None:
    """Time passes until every queued job may run again."""
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE job SET run_after = 0")


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    local = LocalEngine(threads=1)
    local.start()
    yield local
    local.close()


def test_a_study_comes_out_as_segmentation_report_and_summary(
    worker: Callable[..., Worker],
    job: Job,
    engine: LocalEngine,
    spool: Spool,
    database: Database,
    stop: threading.Event,
) -> None:
    """With the real engine: another process, warm for the next study."""
    assert worker(engine).work_once(stop)
    done = now_is(database, job)
    assert (done.state, done.outcome, done.error_text) == (JobState.READY, Outcome.FINDINGS, None)
    assert set(done.timings) == {"load", "open", "predict", "encode", "check"}
    outbox = spool.outbox_path(job.key)
    names = ("1-seg.dcm", "2-sr.dcm", "3-summary.dcm")
    seg, sr, summary = made = [pydicom.dcmread(outbox / name) for name in names]
    assert (seg.Modality, sr.Modality, summary.Modality) == ("SEG", "SR", "OT")
    assert {ds.StudyInstanceUID for ds in made} == {job.study_instance_uid}
    found = read_report(outbox)
    assert found is not None
    ((_, name, millilitres, unit),) = found.measurements
    assert (name, unit) == ("Volume", "mL")
    box = (12 // 2 - 12 // 6) * (48 // 2 - 48 // 6) * (40 // 2 - 40 // 6)
    assert millilitres == pytest.approx(box * 5 * 1.5 * 2 / 1000)
    with database.read() as connection:
        waiting = deliveries.of_job(connection, job.id)
    assert [(row["kind"], row["sop_instance_uid"]) for row in waiting] == [
        ("seg", seg.SOPInstanceUID),
        ("sr", sr.SOPInstanceUID),
        ("summary", summary.SOPInstanceUID),
    ]
    assert list(spool.incoming.iterdir()) == []
    assert engine.room() is Room.FREE


def tracking_uids(spool: Spool, job: Job) -> set[str]:
    """Of the segments, and of the report, which has the same."""
    outbox = spool.outbox_path(job.key)
    seg = pydicom.dcmread(outbox / "1-seg.dcm")
    found = read_report(outbox)
    assert found is not None
    assert found.tracked is not None
    uids = {each.uid for each in found.tracked.findings}
    assert uids == {segment.TrackingUID for segment in seg.SegmentSequence}
    return uids


def test_a_later_study_goes_on_from_the_earlier_one_of_the_same_patient(
    worker: Callable[..., Worker],
    config: Config,
    spool: Spool,
    database: Database,
    model: InstalledModel,
    stop: threading.Event,
) -> None:
    """In whatever order they come, an earlier one is of an earlier day."""
    engine = Scripted(lambda request: attempt.run(request, lambda: open_model(request.model)))
    intake = Intake(config=config, models={"bright": model}, spool=spool, database=database)
    done: dict[str, Job] = {}
    for name, patient, date in (
        ("first", "PHANTOM-1", "20250301"),
        ("stranger", "PHANTOM-2", "20250601"),
        ("later", "PHANTOM-1", "20260102"),
        ("oldest", "PHANTOM-1", "20240101"),
    ):
        instances = series(name=name, patient_id=patient, shape=(6, 12, 12))
        for ds in instances:
            ds.StudyDate = date
        arrive(spool, database, instances, now=database.now() - 1000)
        intake.settle_quiet(now=database.now())
        assert worker(engine).work_once(stop)
        with database.read() as connection:
            done[name] = jobs.listing(connection)[0]
    first = tracking_uids(spool, done["first"])
    assert tracking_uids(spool, done["later"]) == first
    assert not tracking_uids(spool, done["stranger"]) & first
    assert not tracking_uids(spool, done["oldest"]) & first
    with database.write() as connection:
        connection.execute(
            insert(job_event).values(
                job_id=done["first"].id, at=0, to_state="done", why=f"{RETRACTED}wrong side"
            )
        )
    with database.read() as connection:
        keys = earlier.keys_of_patient(connection, done["later"], most=9)
    assert keys == [done["oldest"].key]
    report = (spool.outbox_path(done["later"].key) / "2-sr.dcm").read_bytes()
    assert b"Earlier (2025-03-01, bright 1.0): Volume " in report


def test_a_damaged_report_of_an_earlier_study_costs_the_later_one_nothing(
    worker: Callable[..., Worker],
    config: Config,
    spool: Spool,
    database: Database,
    model: InstalledModel,
    stop: threading.Event,
) -> None:
    """It is not followed up, and somebody hears of it."""
    engine = Scripted(lambda request: attempt.run(request, lambda: open_model(request.model)))
    intake = Intake(config=config, models={"bright": model}, spool=spool, database=database)
    for name in ("first", "later"):
        arrive(spool, database, series(name=name, shape=(6, 12, 12)), now=database.now() - 1000)
        intake.settle_quiet(now=database.now())
        with database.read() as connection:
            newest = jobs.listing(connection)[0]
        with capture_logs() as said:
            assert worker(engine).work_once(stop)
        assert now_is(database, newest).state is JobState.READY
        (spool.outbox_path(newest.key) / REPORT).write_bytes(b"{}")
    assert "report_unreadable" in [entry["event"] for entry in said]


def test_no_folder_of_an_attempt_is_left_when_publishing_fails(
    worker: Callable[..., Worker], job: Job, spool: Spool, stop: threading.Event
) -> None:
    """Each attempt has one of its own: they would fill the spool."""

    def source_is_gone(request: Request) -> Report:
        made = report(request)
        request.source.path.unlink()
        return made

    assert worker(Scripted(source_is_gone)).work_once(stop)
    assert list(spool.incoming.iterdir()) == []


def damage(path: Path, how: str) -> None:
    """A file of the spool after it was acknowledged."""
    content = bytearray(path.read_bytes())
    if how == "deleted":
        path.unlink()
        return
    if how == "a bit flipped":
        content[-1] ^= 1
    path.write_bytes(content[: -100 if how == "cut off" else None])


@pytest.mark.fault("G11")
@pytest.mark.parametrize("how", ["deleted", "cut off", "a bit flipped"])
def test_what_was_damaged_on_the_disk_is_not_analysed_and_heals_when_it_is_sent_again(
    worker: Callable[..., Worker],
    job: Job,
    engine: LocalEngine,
    spool: Spool,
    database: Database,
    stop: threading.Event,
    how: str,
) -> None:
    path = next(spool.instance_files())
    uid = describe(path).sop_instance_uid
    (sent,) = (ds for ds in series() if uid == ds.SOPInstanceUID)
    damage(path, how)
    with capture_logs() as logs:
        worker(engine).work_once(stop)
    found = now_is(database, job)
    assert (found.state, found.outcome) == (JobState.QUARANTINED, None)
    assert "as soon as they are sent again" in (found.error_text or "")
    assert not spool.outbox_path(job.key).exists()
    alarms = {each["event"] for each in logs if each["log_level"] == "error"}
    assert {"instances_lost", "job_without_instances"} <= alarms
    assert study_of(database, job)["reason"] == LOST_INSTANCES

    assert store(spool, database, sent) == Answer(Status.SUCCESS)
    assert now_is(database, job).state is JobState.QUEUED
    assert study_of(database, job)["reason"] is None
    worker(engine).work_once(stop)
    assert now_is(database, job).state is JobState.READY


def study_of(database: Database, job: Job) -> Mapping[str, object]:
    with database.read() as connection:
        row = studies.find(connection, job.study_instance_uid)
    assert row is not None
    return dict(row)


def test_a_killed_attempt_process_is_a_failure_and_the_next_one_works(
    worker: Callable[..., Worker],
    job: Job,
    engine: LocalEngine,
    database: Database,
    model: InstalledModel,
    stop: threading.Event,
) -> None:
    """A timeout kills the process; the engine starts another."""
    hasty = model.model_copy(
        update={"package": model.package.model_copy(update={"timeout_s": 0.001})}
    )
    worker(engine, models={"bright": hasty}).work_once(stop)
    failed = now_is(database, job)
    assert (failed.state, failed.error_kind, failed.attempts) == (JobState.QUEUED, "timeout", 1)
    retried(database)
    worker(engine).work_once(stop)
    assert now_is(database, job).state is JobState.READY


def test_nothing_to_do(worker: Callable[..., Worker], stop: threading.Event) -> None:
    assert not worker(Scripted(report)).work_once(stop)


def test_a_result_is_published_with_its_deliveries(
    worker: Callable[..., Worker], job: Job, database: Database, spool: Spool, stop: threading.Event
) -> None:
    engine = Scripted(report)
    worker(engine).work_once(stop)
    assert now_is(database, job).state is JobState.READY
    (request,) = engine.requests
    assert (request.job_key, len(request.instances), request.refusal) == (job.key, 12, None)
    published = pydicom.dcmread(spool.outbox_path(job.key) / "1-seg.dcm")
    assert published.StudyInstanceUID == job.study_instance_uid


def of_others(request: Request) -> Report:
    """With the hash of what is there: whoever wrote it knew how."""
    ds = object_of(request.source.path)
    ds.PatientID = "SOMEBODY ELSE"
    return hand_over(request.folder, ds)


def altered(request: Request) -> Report:
    made = report(request)
    path = request.folder / made.objects[0].file
    path.write_bytes(path.read_bytes() + bytes(2))
    return made


@pytest.mark.fault("E18")
@pytest.mark.parametrize("act", [of_others, altered])
def test_a_result_that_is_not_of_its_study_is_destroyed_and_never_sent(
    worker: Callable[..., Worker],
    job: Job,
    database: Database,
    spool: Spool,
    stop: threading.Event,
    act: Callable[[Request], Report],
) -> None:
    """At once, and no further attempt: an administrator looks at it first."""
    engine = Scripted(act)
    with capture_logs() as said:
        assert worker(engine).work_once(stop)
    found = now_is(database, job)
    assert (found.state, found.error_kind) == (JobState.QUARANTINED, "mismatch")
    assert (found.error_text or "").startswith("seg: ")
    assert "ELSE" not in (found.error_text or "")
    assert {"result_destroyed", "job_quarantined"} <= {
        entry["event"] for entry in said if entry["log_level"] == "error"
    }
    assert not spool.outbox_path(job.key).exists()
    assert list(spool.incoming.iterdir()) == []
    with database.read() as connection:
        assert deliveries.backlog(connection) == {}
    retried(database)
    assert not worker(engine).work_once(stop)


def test_a_failed_attempt_is_tried_again_later_and_then_quarantined(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event
) -> None:
    engine = Scripted(lambda _: Failure(kind="crash", text="SIGSEGV"))
    for attempts in (1, 2, 3):
        assert worker(engine).work_once(stop)
        found = now_is(database, job)
        assert (found.attempts, found.error_text) == (attempts, "SIGSEGV")
        assert not worker(engine).work_once(stop)  # not at once
        retried(database)
    assert found.state is JobState.QUARANTINED
    assert not worker(engine).work_once(stop)


def test_a_poison_study_does_not_block_the_next(
    worker: Callable[..., Worker],
    job: Job,
    config: Config,
    spool: Spool,
    database: Database,
    model: InstalledModel,
    stop: threading.Event,
) -> None:
    arrive(spool, database, series(name="next"), now=database.now() - 1000)
    intake = Intake(config=config, models={"bright": model}, spool=spool, database=database)
    intake.settle_quiet(now=database.now())

    def act(request: Request) -> Report | Failure:
        return Failure(kind="oom", text="") if request.job_key == job.key else report(request)

    for _ in range(2):
        worker(Scripted(act)).work_once(stop)
    with database.read() as connection:
        assert {each.state for each in jobs.listing(connection)} == {"queued", "ready"}


def test_our_own_bug_is_a_failed_attempt(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event
) -> None:
    def act(_: Request) -> Report:
        raise ValueError("Phantom^Left")

    engine = Scripted(act)
    assert worker(engine).work_once(stop)
    found = now_is(database, job)
    assert (found.state, found.error_kind, engine.killed) == (JobState.QUEUED, "error", 1)
    assert found.error_text is not None
    assert found.error_text.startswith("ValueError at ")
    assert "Phantom" not in found.error_text


def cancel(database: Database, job: Job) -> None:
    with database.write() as connection:
        current = jobs.find(connection, job.id)
        assert current is not None
        jobs.move(connection, current, JobState.CANCELLED, now=database.now(), why="operator")


@pytest.mark.parametrize("config", [{"work": {"lease_s": 0.000001}}], indirect=True)
def test_a_job_that_was_taken_away_is_dropped_and_its_attempt_killed(
    worker: Callable[..., Worker], job: Job, database: Database, spool: Spool, stop: threading.Event
) -> None:
    """The renewal says so; that is not an error."""

    def act(_: Request) -> None:
        if now_is(database, job).state is JobState.RUNNING:
            cancel(database, job)

    engine = Scripted(act)
    assert worker(engine).work_once(stop)
    assert (now_is(database, job).state, engine.killed) == (JobState.CANCELLED, 1)
    assert list(spool.incoming.iterdir()) == []


@pytest.mark.parametrize("how", ["a result", "a failure", "a bug"])
def test_what_ends_after_the_lease_is_lost_changes_nothing(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event, how: str
) -> None:
    def act(request: Request) -> Report | Failure:
        cancel(database, job)
        if how == "a bug":
            raise ValueError
        return report(request) if how == "a result" else Failure(kind="crash", text="")

    assert worker(Scripted(act)).work_once(stop)
    assert now_is(database, job).state is JobState.CANCELLED
    with database.read() as connection:
        assert deliveries.backlog(connection) == {}


def test_a_long_attempt_keeps_its_lease(
    config: Config,
    worker: Callable[..., Worker],
    job: Job,
    database: Database,
    stop: threading.Event,
) -> None:
    first_end: list[float] = []

    def still_running(_: Request) -> None:
        first_end.append(now_is(database, job).lease_expires_at or 0)
        if len(first_end) == 1:  # as if a third of the lease and more had passed
            database_now = database.now()
            clock.now = lambda: database_now + 30  # type: ignore[method-assign]

    clock = Database(str(database.url))
    engine = Scripted(still_running, still_running, report)
    try:
        worker(engine, database=clock).work_once(stop)
    finally:
        clock.close()
    assert first_end[1] == pytest.approx(first_end[0] + 30, abs=5)
    assert now_is(database, job).state is JobState.READY


def test_a_stopped_worker_gives_its_job_back_uncounted(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event
) -> None:
    def act(_: Request) -> None:
        stop.set()

    engine = Scripted(act)
    worker(engine).run(stop)
    found = now_is(database, job)
    assert (found.state, found.attempts, engine.killed) == (JobState.QUEUED, 0, 1)


def test_a_worker_that_leaves_brings_its_job_to_its_end_and_begins_no_other(
    worker: Callable[..., Worker], database: Database, job: Job
) -> None:
    """As for a reload: no attempt is wasted, and no lease given back."""
    leave = threading.Event()

    def last(request: Request) -> Report | None:
        if not leave.is_set():
            leave.set()
            return None  # it still runs when the worker is told
        return report(request)

    leaving = worker(Scripted(last))
    with database.write() as connection:
        other = enqueued(connection, "other", now=database.now())
    leaving.run(threading.Event(), leave)
    assert (now_is(database, job).state, now_is(database, job).attempts) == (JobState.READY, 1)
    assert (now_is(database, other).state, now_is(database, other).attempts) == (JobState.QUEUED, 0)
    leaving.run(threading.Event(), leave)  # who is told before there is anything ends at once
    assert now_is(database, other).attempts == 0


def test_a_worker_takes_back_what_its_killed_predecessor_had(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event
) -> None:
    with database.write() as connection:
        leases.claim(connection, worker="here", lease_s=600, now=database.now())
    worker(Scripted(report)).take_back()
    found = now_is(database, job)
    assert (found.state, found.error_kind, found.attempts) == (JobState.QUEUED, "worker_lost", 1)
    worker(Scripted(report)).work_once(stop)
    assert now_is(database, job).state is JobState.READY


@pytest.mark.fault("E11")
def test_a_worker_that_is_killed_between_folder_and_row_loses_no_result(
    worker: Callable[..., Worker], job: Job, database: Database, spool: Spool, stop: threading.Event
) -> None:
    """Not even that of the last attempt."""
    crashing = Scripted(lambda _: Failure(kind="crash", text="SIGSEGV"))
    for _ in range(2):
        worker(crashing).work_once(stop)
        retried(database)
    worker(Scripted(report)).work_once(stop)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM delivery")
        connection.exec_driver_sql(
            "UPDATE job SET state = 'running', worker = 'here', lease_id = 'l', outcome = NULL"
        )
    worker(Scripted(report)).take_back()
    found = now_is(database, job)
    assert (found.state, found.attempts) == (JobState.QUEUED, 2)
    engine = Scripted(report)
    worker(engine).work_once(stop)
    assert (now_is(database, job).state, engine.requests) == (JobState.READY, [])


def test_another_workers_job_is_left_alone(
    worker: Callable[..., Worker], job: Job, database: Database
) -> None:
    with database.write() as connection:
        leases.claim(connection, worker="elsewhere", lease_s=600, now=database.now())
    worker(Scripted(report)).take_back()
    assert now_is(database, job).state is JobState.RUNNING


def test_a_missing_model_is_a_failed_attempt(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event
) -> None:
    engine = Scripted(report)
    worker(engine, models={}).work_once(stop)
    found = now_is(database, job)
    assert (found.state, found.error_kind, engine.requests) == (JobState.QUEUED, "no_model", [])


def test_lost_instances_are_not_worked_around(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event
) -> None:
    with database.write() as connection:
        uid = job.inputs[IMAGE][0]
        connection.exec_driver_sql("DELETE FROM instance WHERE sop_instance_uid = ?", (uid,))
    engine = Scripted(report)
    worker(engine).work_once(stop)
    assert (now_is(database, job).error_kind, engine.requests) == ("lost", [])


def test_a_finished_outbox_is_published_without_inference(
    worker: Callable[..., Worker], job: Job, database: Database, spool: Spool, stop: threading.Event
) -> None:
    """A worker died between the folder and the row: the same objects go out, once."""
    scripted = Scripted(report)
    worker(scripted).work_once(stop)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM delivery")
        connection.exec_driver_sql("UPDATE job SET state = 'queued', outcome = NULL")
    engine = Scripted(report)
    worker(engine).work_once(stop)
    assert (now_is(database, job).state, engine.requests) == (JobState.READY, [])
    with database.read() as connection:
        assert [row["file"] for row in deliveries.of_job(connection, job.id)] == ["1-seg.dcm"]


class Two:
    """An engine in which one job predicts and another one loads, and both end as the test says."""

    def __init__(self, end: Callable[[Request], Report | Failure | None]) -> None:
        self.end = end
        self.under_way: list[tuple[Request, bool]] = []
        self.most = 0

    def room(self) -> Room:
        if not self.under_way:
            return Room.FREE
        ((_, alone), *others) = self.under_way
        return Room.NONE if alone or others else Room.BESIDE

    def wait(self, wait_s: float) -> None: ...

    def submit(self, request: Request, *, alone: bool = False) -> "Attempted":
        self.under_way.append((request, alone))
        self.most = max(self.most, len(self.under_way))
        return Attempted(engine=self, request=request)

    def close(self) -> None: ...


@dataclass
class Attempted:
    engine: Two
    request: Request

    def poll(self, wait_s: float) -> Report | Failure | None:
        found = self.engine.end(self.request)
        if found is not None:
            self.kill()
        return found

    def kill(self) -> None:
        self.engine.under_way = [
            each for each in self.engine.under_way if each[0] is not self.request
        ]


@pytest.fixture
def another(
    job: Job, config: Config, spool: Spool, database: Database, model: InstalledModel
) -> Job:
    """A second study that is queued."""
    arrive(spool, database, series(name="another"), now=database.now() - 1000)
    intake = Intake(config=config, models={"bright": model}, spool=spool, database=database)
    intake.settle_quiet(now=database.now())
    with database.read() as connection:
        return jobs.listing(connection)[0]


def run_until(worker: Worker, condition: Callable[[], bool], *, steps: int = 200) -> None:
    """The worker's own loop, until the test has seen enough."""
    stop = Until(condition, steps)
    worker.run(stop)  # type: ignore[arg-type]
    assert condition()


class Until:
    """A stop event that is set by what has come to pass."""

    def __init__(self, condition: Callable[[], bool], steps: int) -> None:
        self.condition = condition
        self.steps = steps

    def is_set(self) -> bool:
        self.steps -= 1
        return self.steps < 0 or self.condition()

    def wait(self, timeout: float) -> None: ...


def test_two_jobs_are_under_way_at_once(
    worker: Callable[..., Worker], job: Job, another: Job, database: Database
) -> None:
    engine = Two(lambda request: report(request) if engine.most == 2 else None)
    both = worker(engine)
    run_until(both, lambda: not both.held and now_is(database, another).state is JobState.READY)
    assert now_is(database, job).state is JobState.READY


def test_what_was_tried_before_runs_alone(
    worker: Callable[..., Worker], job: Job, another: Job, database: Database
) -> None:
    """Both are charged when their process dies; neither can bring down the other again."""
    tries: list[tuple[int, bool]] = []

    def end(request: Request) -> Report | Failure | None:
        tries.append((len(engine.under_way), engine.under_way[0][1]))
        if not engine.under_way[0][1]:
            return Failure(kind="crash", text="") if engine.most == 2 else None
        return report(request)

    engine = Two(end)
    both = worker(engine, config=with_work(worker(engine).config, retry_after_s=0))
    run_until(both, lambda: now_is(database, another).state is JobState.READY)
    run_until(both, lambda: now_is(database, job).state is JobState.READY)
    assert {now_is(database, each).attempts for each in (job, another)} == {2}
    assert all(number == 1 for number, alone in tries if alone)


def with_work(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"work": config.work.model_copy(update=changes)})


def test_jobs_of_a_disabled_model_wait_and_its_attempt_is_ended(
    worker: Callable[..., Worker],
    job: Job,
    config: Config,
    database: Database,
    model: InstalledModel,
    stop: threading.Event,
) -> None:
    store = config.node.models
    store.mkdir()
    engine = Scripted(lambda _: disable(store, model, why="a test", now=0) and None)
    assert worker(engine).work_once(stop)
    found = now_is(database, job)
    assert (found.state, found.attempts, engine.killed) == (JobState.QUEUED, 0, 1)
    with database.read() as connection:
        last = jobs.events(connection, job.id)[-1]
    assert last["why"] == "bright 1.0 is disabled: a test"
    assert not worker(engine).work_once(stop)
    assert enable(store, model.package.name, model.package.version)
    assert worker(Scripted(report)).work_once(stop)
    assert now_is(database, job).state is JobState.READY


@pytest.mark.fault("E12")
def test_a_model_that_was_changed_is_disabled_and_its_job_not_charged(
    worker: Callable[..., Worker],
    job: Job,
    config: Config,
    database: Database,
    stop: threading.Event,
) -> None:
    config.node.models.mkdir()
    engine = Scripted(lambda _: Failure(kind="model_changed", text="weights are others"))
    assert worker(engine).work_once(stop)
    found = now_is(database, job)
    assert (found.state, found.attempts) == (JobState.QUEUED, 0)
    marker = read_disabled(config.node.models)["bright", "1.0"]
    assert marker.sentence == "bright 1.0 is disabled: weights are others"
    assert not worker(engine).work_once(stop)


@pytest.mark.parametrize("text", ["removed", "read-only store"])
def test_a_model_that_cannot_be_disabled_is_no_endless_loop(
    worker: Callable[..., Worker],
    job: Job,
    config: Config,
    database: Database,
    model: InstalledModel,
    stop: threading.Event,
    text: str,
) -> None:
    """One that was removed needs no marker: its jobs end, and say what they lack. Where none can be
    written, they wait."""
    removed = text == "removed"
    gone = model.model_copy(update={"folder": model.folder / "gone"}) if removed else model
    engine = Scripted(lambda _: Failure(kind="model_changed", text="weights cannot be read"))
    assert worker(engine, models={"bright": gone}).work_once(stop)
    found = now_is(database, job)
    assert (found.state, found.attempts) == (JobState.QUEUED, int(removed))
    assert found.error_kind == ("no_model" if removed else None)
    assert not worker(engine).work_once(stop)  # not at once
    assert read_disabled(config.node.models) == {}


@pytest.mark.fault("E7")
@pytest.mark.parametrize("kind", ["no_device", "not_started"])
def test_a_job_that_finds_no_gpu_waits_and_is_not_charged(
    worker: Callable[..., Worker], job: Job, database: Database, stop: threading.Event, kind: str
) -> None:
    engine = Scripted(lambda _: Failure(kind=kind, text="no cuda"))
    for _ in range(4):
        assert worker(engine).work_once(stop)
        assert not worker(engine).work_once(stop)  # not at once
        retried(database)
    found = now_is(database, job)
    assert (found.state, found.attempts) == (JobState.QUEUED, 0)


@pytest.mark.fault("E8")
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_killer_has_three_starts_across_a_restart(
    worker: Callable[..., Worker],
    job: Job,
    database: Database,
    stop: threading.Event,
    lost: int,
) -> None:
    """Whichever of its attempts the worker was killed in."""
    engine = Scripted(lambda _: Failure(kind="crash", text="SIGSEGV"))
    for start in (1, 2, 3):
        assert now_is(database, job).state is JobState.QUEUED
        if start == lost:
            with database.write() as connection:
                leases.claim(connection, worker="here", lease_s=600, now=database.now())
            worker(engine).take_back()
        else:
            worker(engine).work_once(stop)
        retried(database)
    found = now_is(database, job)
    assert (found.state, found.error_kind) == (JobState.QUARANTINED, "crash")


@pytest.mark.fault("E11")
def test_another_answer_of_a_retry_is_not_published(
    worker: Callable[..., Worker], job: Job, database: Database, spool: Spool, stop: threading.Event
) -> None:
    """Somebody had published one while this attempt ran: that one is sent."""

    def act(request: Request) -> Report:
        first = replace(request, folder=spool.outbox_path(job.key))
        first.folder.parent.mkdir(parents=True)
        report(first)
        return report(request, name="2-seg.dcm")

    worker(Scripted(act)).work_once(stop)
    with database.read() as connection:
        assert [row["file"] for row in deliveries.of_job(connection, job.id)] == ["1-seg.dcm"]
