"""Retention counts from the last thing that happened, and a wrong clock deletes nothing at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_ai_node import purge as purge_module
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs, new_jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import Step
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.purge import (
    LONGEST_GAP_S,
    WAIT_S,
    purge_expired,
    purge_unless_clock_jumped,
)
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState
from tests.database.made import NOW, again, claimed, new_job, publish
from tests.dicom_factory import series
from tests.made import arrive, bright

DAY_S = 86_400
HOUR_S = 3600


@pytest.fixture
def settled(config: Config, spool: Spool, database: Database, tmp_path: Path) -> str:
    """A study that was routed at NOW, with its job queued; its UID."""
    instances = series(shape=(3, 8, 8))
    arrive(spool, database, instances, now=NOW)
    models = {"bright": bright(tmp_path)}
    intake = Intake(config=config, models=models, spool=spool, database=database)
    assert intake.settle_quiet(now=NOW + 100) == 1
    return str(instances[0].StudyInstanceUID)


def deliver(database: Database, *, at: float, state: DeliveryState = DeliveryState.STORED) -> None:
    """The job's result is made, and its peer answers at this time."""
    with database.write() as connection:
        job = claimed(connection, now=NOW + 200)
        publish(connection, job)
        for row, _ in deliveries.due(connection, "archive", now=at):
            deliveries.record(connection, row, state, status="", next_try_at=at, now=at)


@pytest.fixture
def purge(config: Config, spool: Spool, database: Database) -> Callable[[float], int]:
    return lambda now: purge_expired(config, spool, database, now=now)


def state_of(database: Database, study_instance_uid: str) -> str:
    with database.read() as connection:
        row = studies.find(connection, study_instance_uid)
    assert row is not None
    return str(row["state"])


def test_retention_counts_from_the_last_delivery(
    config: Config, database: Database, settled: str, purge: Callable[[float], int]
) -> None:
    """A PACS that was down for six days leaves no less time to look after what it then took."""
    retain_s = config.node.retain_days * DAY_S
    delivered = NOW + 6 * DAY_S
    deliver(database, at=delivered)
    assert purge(NOW + retain_s + 1) == 0
    assert purge(delivered + retain_s - 1) == 0
    assert purge(delivered + retain_s + 1) == 1
    assert state_of(database, settled) == StudyState.PURGED


@pytest.mark.parametrize("end", [JobState.UNDELIVERED, JobState.QUARANTINED])
def test_what_was_not_delivered_keeps_its_sources_for_ever(
    database: Database, spool: Spool, settled: str, purge: Callable[[float], int], end: JobState
) -> None:
    if end is JobState.UNDELIVERED:
        deliver(database, at=NOW + 300, state=DeliveryState.REFUSED)
    else:
        with database.write() as connection:
            job = claimed(connection, now=NOW + 200)
            jobs.move(connection, job, JobState.QUARANTINED, now=NOW)
            assert again(connection, job).state is end
    assert purge(NOW + 10_000 * DAY_S) == 0
    assert len(list(spool.instance_files())) == 3
    assert state_of(database, settled) == StudyState.ROUTED


def test_a_clock_that_jumped_a_year_ahead_deletes_nothing_for_a_day(
    config: Config, spool: Spool, database: Database, settled: str
) -> None:
    """And nothing at all where somebody puts it right meanwhile."""

    def tick(now: float) -> int:
        return purge_unless_clock_jumped(config, spool, database, now=now)

    deliver(database, at=NOW + 300)
    assert tick(NOW + HOUR_S) == 0
    wrong = NOW + 365 * DAY_S
    assert [tick(wrong + hour * HOUR_S) for hour in range(24)] == [0] * 24

    right = NOW + 2 * DAY_S
    assert [tick(right + hour * HOUR_S) for hour in range(48)] == [0] * 48
    assert len(list(spool.instance_files())) == 3

    for hour in range(48, 24 * 12):
        assert tick(right + hour * HOUR_S) == 0
    assert tick(NOW + 300 + config.node.retain_days * DAY_S + 1) == 1


def test_a_node_that_stood_still_for_weeks_purges_after_a_day(
    config: Config, spool: Spool, database: Database, settled: str
) -> None:
    """Restarts meanwhile do not make it wait anew: what it waits for lies in the spool."""
    deliver(database, at=NOW + 300)
    assert purge_unless_clock_jumped(config, spool, database, now=NOW + 400) == 0
    back = NOW + 30 * DAY_S
    assert back - NOW > LONGEST_GAP_S
    (spool.incoming / "purge-clock").write_bytes(b"of a process that was killed")
    assert purge_unless_clock_jumped(config, spool, database, now=back) == 0
    assert purge_unless_clock_jumped(config, spool, database, now=back + WAIT_S - 1) == 0
    assert purge_unless_clock_jumped(config, spool, database, now=back + WAIT_S + 1) == 1


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'["a", 2]', b"[1e999, 0]"])
def test_a_damaged_note_of_the_clock_is_made_anew(
    config: Config, spool: Spool, database: Database, settled: str, content: bytes
) -> None:
    deliver(database, at=NOW + 300)
    (spool.root / "purge-clock").write_bytes(content)
    old = NOW + 20 * DAY_S
    assert purge_unless_clock_jumped(config, spool, database, now=old) in (0, 1)
    assert purge_unless_clock_jumped(config, spool, database, now=old + WAIT_S) in (0, 1)
    assert state_of(database, settled) == StudyState.PURGED


@pytest.mark.parametrize("comes", ["a slice", "work"])
def test_what_comes_while_others_are_purged_keeps_its_study(
    config: Config,
    spool: Spool,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    comes: str,
) -> None:
    """When the first of two is gone, something of the second is acknowledged or queued."""
    old = {name: series(name=name, shape=(3, 8, 8)) for name in ("one", "two")}
    uids = {name: str(instances[0].StudyInstanceUID) for name, instances in old.items()}
    for instances in old.values():
        arrive(spool, database, instances, now=NOW)
    models = {"bright": bright(tmp_path)}
    intake = Intake(config=config, models=models, spool=spool, database=database)
    assert intake.settle_quiet(now=NOW + 100) == 2
    deliver(database, at=NOW + 300)
    deliver(database, at=NOW + 300)
    late = NOW + 30 * DAY_S
    kept: list[str] = []

    def reached(step: Step) -> None:
        if step is not Step.PURGE_RECORDED or kept:
            return
        (name,) = [each for each in uids if state_of(database, uids[each]) == StudyState.ROUTED]
        kept.append(name)
        if comes == "a slice":
            arrive(spool, database, series(name=name, shape=(4, 8, 8))[3:], now=late)
            return
        with database.write() as connection:
            row = studies.find(connection, uids[name])
            assert row is not None
            assert new_jobs.enqueue(connection, new_job(row["id"]), now=late) is not None

    monkeypatch.setattr(purge_module, "reached", reached)
    assert purge_expired(config, spool, database, now=late) == 1
    (name,) = kept
    assert len(list(spool.instance_files())) == (4 if comes == "a slice" else 3)
    with database.read() as connection:
        row = studies.find(connection, uids[name])
        assert row is not None
        there = studies.instances(connection, spool, row["id"])
    assert all(each.path.exists() for each in there)
    assert there
