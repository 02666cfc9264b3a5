"""Timed work: what ticks do, and that one that fails does not end them."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import cast

import apscheduler.schedulers.base
import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from dicom_ai_node import schedule
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import expectations, jobs, leases, stopped, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.job import JobState
from dicom_ai_node.purge import purge_expired
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Expected, Source, StudyState
from tests.database.made import NOW, again, claimed, enqueued
from tests.dicom_factory import series
from tests.made import arrive, bright

DAY_S = 86_400


def test_a_job_whose_workers_fall_silent_is_quarantined_in_the_end(
    config: Config, spool: Spool, database: Database
) -> None:
    with database.write() as connection:
        enqueued(connection)
    states = []
    chances = config.work.max_attempts * leases.LOST_WORKERS_FORGIVEN
    for attempt in range(chances):
        now = NOW + 1000 * attempt
        with database.write() as connection:
            job = claimed(connection, now=now, lease_s=60)
        assert schedule.reap_leases(config, spool, database, now=now + 60) == 0
        assert schedule.reap_leases(config, spool, database, now=now + 61) == 1
        with database.read() as connection:
            found = again(connection, job)
        states.append(found.state)
        assert (found.error_kind, found.lease_id) == (leases.WORKER_LOST, None)
    assert states == [JobState.QUEUED] * (chances - 1) + [JobState.QUARANTINED]


def test_a_result_that_its_worker_did_not_publish_is_no_lost_attempt(
    config: Config, spool: Spool, database: Database
) -> None:
    with database.write() as connection:
        enqueued(connection)
        job = claimed(connection, now=NOW, lease_s=60)
    spool.outbox_path(job.key).mkdir(parents=True)
    assert schedule.reap_leases(config, spool, database, now=NOW + 61) == 1
    with database.read() as connection:
        found = again(connection, job)
    assert (found.state, found.attempts, found.error_kind) == (JobState.QUEUED, 0, None)


@pytest.mark.parametrize("config", [{"study": {"quiet_s": 0.1}}], indirect=True)
def test_ticks_settle_quiet_studies(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    models = {"bright": bright(tmp_path)}
    intake = Intake(config=config, models=models, spool=spool, database=database)
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE study RENAME TO aside")
    ticks = schedule.start(config, spool, database, intake)
    try:
        time.sleep(0.6)  # ticks fail, and come again
        with database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE aside RENAME TO study")
        arrive(spool, database, series(shape=(2, 8, 8)), now=database.now())
        deadline = time.monotonic() + 20
        found: object = []
        while not found and time.monotonic() < deadline:
            time.sleep(0.02)
            with database.read() as connection:
                found = jobs.listing(connection)
    finally:
        ticks.shutdown(wait_s=30)
    assert found


class SetBack(datetime):
    """What APScheduler asks for the time, on a machine whose clock somebody sets."""

    by = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "SetBack":
        return cls.fromtimestamp((datetime.now(tz) - cls.by).timestamp(), tz)


class Counted:
    """An intake that has nothing to do."""

    ticks = 0

    def settle_quiet(self, *, now: float) -> int:
        self.ticks += 1
        return 0


def test_a_clock_that_is_set_back_stops_no_tick(
    config: Config, spool: Spool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results that leave, leases that run out and closed studies are waited for by people."""
    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", SetBack)
    monkeypatch.setattr(SetBack, "by", timedelta(0))
    intake = Counted()
    ticks = schedule.start(config, spool, database, cast("Intake", intake))
    try:
        monkeypatch.setattr(SetBack, "by", timedelta(hours=1))
        time.sleep(0.3)  # one that was waited for when the clock was set is past
        before, deadline = intake.ticks, time.monotonic() + 20
        while intake.ticks < before + 5:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        ticks.shutdown(wait_s=30)


LONG = """\
import sys, threading
from pathlib import Path
from dicom_ai_node import schedule
from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool
from tests.made import configuration
from tests.test_schedule import Counted

config = configuration(Path(sys.argv[1]))
database = Database(config.node.database)
schema.require_current(database)
began = threading.Event()

def tick():
    began.set()
    threading.Event().wait(300)

long = ("long", 0.05, tick)
ticks = schedule.start(config, Spool(config.node.spool), database, Counted(), [long])
began.wait()
ticks.shutdown(wait_s=0.2)
database.close()
print("ended")
"""


def test_a_long_tick_keeps_no_process_from_its_end(tmp_path: Path) -> None:
    """A reload would stop routing and delivery until the check of a large database is through."""
    command = [sys.executable, "-c", LONG, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.endswith("ticks=['long']\nended\n")


@pytest.mark.parametrize(
    ("jump_s", "is_moved"), [(-3600, True), (-31_536_000, True), (-1, False), (3600, False)]
)
def test_slow_ticks_are_counted_anew_when_the_clock_was_set_back(
    *, jump_s: float, is_moved: bool
) -> None:
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(list, "interval", seconds=3600, id="purge")
    scheduler.start(paused=True)
    try:
        (before,) = (each.next_run_time for each in scheduler.get_jobs())
        clock = schedule.Clock(scheduler, now=NOW)
        clock.look(now=NOW + jump_s)
        clock.look(now=NOW + jump_s + 1)
        (after,) = (each.next_run_time for each in scheduler.get_jobs())
        moved = datetime.fromtimestamp(NOW + jump_s, UTC)
        assert after == (moved if is_moved else before)
        (job,) = scheduler.get_jobs()
        following = job.trigger.get_next_fire_time(after, after)
        assert following - after == timedelta(hours=1)
    finally:
        scheduler.shutdown()


def test_a_job_that_was_told_to_wait_before_the_clock_was_set_back_runs(
    database: Database,
) -> None:
    with database.write() as connection:
        enqueued(connection)
    hour_s = 3600.0
    with database.read() as connection:
        for back_s, runs in ((0, True), (20 * hour_s, False), (26 * hour_s, True)):
            found = leases.next_runnable(connection, now=NOW - back_s)
            assert (found is not None) is runs


@pytest.fixture
def settled(config: Config, spool: Spool, database: Database, tmp_path: Path) -> str:
    """A study that was routed at NOW, with its job queued; its UID."""
    instances = series(shape=(3, 8, 8))
    arrive(spool, database, instances, now=NOW)
    models = {"bright": bright(tmp_path)}
    intake = Intake(config=config, models=models, spool=spool, database=database)
    assert intake.settle_quiet(now=NOW + 100) == 1
    return str(instances[0].StudyInstanceUID)


def finish(spool: Spool, database: Database) -> Path:
    """The job as it is when it is done; its outbox."""
    with database.write() as connection:
        job = claimed(connection, now=NOW + 200)
        jobs.move(connection, job, JobState.READY, now=NOW)
        jobs.move(connection, again(connection, job), JobState.DONE, now=NOW)
    outbox = spool.outbox_path(job.key)
    outbox.mkdir(parents=True)
    (outbox / "1-seg.dcm").write_bytes(b"seg")
    return outbox


def test_files_go_after_retention_and_rows_stay(
    config: Config, spool: Spool, database: Database, settled: str
) -> None:
    outbox = finish(spool, database)
    old = NOW + config.node.retain_days * DAY_S
    assert purge_expired(config, spool, database, now=old - 1) == 0
    assert len(list(spool.instance_files())) == 3
    assert purge_expired(config, spool, database, now=old + 1) == 1
    assert list(spool.instance_files()) == []
    assert not outbox.exists()
    with database.read() as connection:
        row = studies.find(connection, settled)
        assert row is not None
        assert (row["state"], len(jobs.listing(connection))) == (StudyState.PURGED, 1)
    assert purge_expired(config, spool, database, now=old + 2) == 0


def test_what_is_not_delivered_is_never_purged(
    config: Config, spool: Spool, database: Database, settled: str
) -> None:
    assert purge_expired(config, spool, database, now=NOW + 1000 * DAY_S) == 0
    assert len(list(spool.instance_files())) == 3


def test_a_study_that_waits_for_a_person_is_never_purged(
    config: Config, spool: Spool, database: Database, settled: str
) -> None:
    finish(spool, database)
    with database.write() as connection:
        stopped.conflict(connection, series(shape=(1, 4, 4))[0].SOPInstanceUID, now=NOW)
    assert purge_expired(config, spool, database, now=NOW + 1000 * DAY_S) == 0


def test_what_was_expected_is_forgotten_with_the_files(
    config: Config, spool: Spool, database: Database
) -> None:
    """Of a study that never came, too."""
    expected = Expected(
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        source=Source.IAN,
        origin="2.25.1",
        instances=1,
        sop_instance_uids=frozenset({"1.2.3.4"}),
        is_final=True,
        at=NOW,
    )
    with database.write() as connection:
        expectations.replace(connection, [expected])
    for days, left in ((13.9, [expected]), (14.1, [])):
        purge_expired(config, spool, database, now=NOW + days * DAY_S)
        with database.read() as connection:
            assert expectations.of_study(connection, "1.2") == left
