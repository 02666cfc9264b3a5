"""The clock of the machine is set while a job runs: it is neither lost nor done twice (P23)."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.engines.engine import Room
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request
from dicom_ai_node.schedule import reap_leases
from dicom_ai_node.spool import Spool
from dicom_ai_node.work import Worker
from tests.database.made import again
from tests.dicom_factory import series
from tests.gate.told import hand_over, object_of
from tests.made import arrive, bright

HOUR_S = 3600.0


class Clocked(Database):
    """A database whose clock somebody sets."""

    offset = 0.0

    def now(self) -> float:
        return super().now() + self.offset


class Slow:
    """An engine whose attempt ends when the test says so."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.is_done = False

    def room(self) -> Room:
        return Room.FREE

    def wait(self, wait_s: float) -> None: ...

    def submit(self, request: Request, *, alone: bool = False) -> "Slow":
        self.requests.append(request)
        return self

    def poll(self, wait_s: float) -> Report | None:
        request = self.requests[-1]
        return hand_over(request.folder, object_of(request.source.path)) if self.is_done else None

    def kill(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def clocked(config: Config, database: Database) -> Iterator[Clocked]:
    opened = Clocked(config.node.database)
    yield opened
    opened.close()


@pytest.fixture
def job(config: Config, spool: Spool, clocked: Clocked, tmp_path: Path) -> Job:
    arrive(spool, clocked, series(shape=(3, 8, 8)), now=clocked.now() - 1000)
    models = {"bright": bright(tmp_path)}
    Intake(config=config, models=models, spool=spool, database=clocked).settle_quiet(
        now=clocked.now()
    )
    return of(clocked)


def of(database: Database, known: Job | None = None) -> Job:
    with database.read() as connection:
        if known is not None:
            return again(connection, known)
        (found,) = jobs.listing(connection)
    return found


def worker(
    config: Config, spool: Spool, database: Database, engine: Slow, tmp_path: Path
) -> Worker:
    models = {"bright": bright(tmp_path)}
    return Worker(
        name="here", config=config, models=models, spool=spool, database=database, engine=engine
    )


@pytest.mark.parametrize("first", ["the worker looks first", "the reaper looks first"])
@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_a_jump_of_an_hour_while_a_job_runs_leaves_one_result(
    config: Config,
    spool: Spool,
    clocked: Clocked,
    job: Job,
    tmp_path: Path,
    jump_s: float,
    first: str,
) -> None:
    engine = Slow()
    here = worker(config, spool, clocked, engine, tmp_path)
    assert here._take()
    clocked.offset = jump_s
    if first == "the worker looks first":
        here._look()  # and renews, by the clock as it is now
    reaped = reap_leases(config, spool, clocked, now=clocked.now())
    assert reaped == (1 if jump_s > 0 and first == "the reaper looks first" else 0)
    engine.is_done = True
    here._look()  # of a lease that is lost, nothing is published
    assert of(clocked, job).state is (JobState.QUEUED if reaped else JobState.READY)

    clocked.offset += HOUR_S  # whoever was told to wait
    here.work_once(threading.Event())
    done = of(clocked, job)
    # what the first attempt made lies in the outbox already: nobody makes it again
    assert (done.state, len(engine.requests)) == (JobState.READY, 1)
    with clocked.read() as connection:
        sent = deliveries.of_job(connection, job.id)
        assert len({row["sop_instance_uid"] for row in sent}) == len(sent) == 1
        assert len(deliveries.due(connection, "archive", now=clocked.now())) == 1
    assert not here.work_once(threading.Event())
    assert list(spool.outbox.glob("??/*")) == [spool.outbox_path(job.key)]
