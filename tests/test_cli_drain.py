"""Before maintenance: nothing new begins, and what is under way comes to its end."""

import threading
from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.spool import Spool
from tests.database.made import NOW, claimed, enqueued, publish
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright
from tests.operator import Operator


@pytest.fixture
def operator(config: Config, tmp_path: Path) -> Operator:
    return Operator(tmp_path, config)


@pytest.mark.fault("H7")
def test_a_drained_node_begins_no_job_and_goes_on_afterwards(
    operator: Operator, config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    road = Road(config, spool, database, {"bright": bright(tmp_path)})
    arrive(spool, database, series(name="drained", shape=(6, 8, 8)), now=NOW)
    said = operator.must("drain", "--wait", "1")
    road.intake.settle_quiet(now=database.now())
    assert [job.state for job in road.jobs()] == [JobState.QUEUED]
    assert road.work() == 0
    assert "may be stopped" in said
    assert "1 jobs stay queued" in operator.must("drain")  # whatever was restarted in between
    assert operator.data("status")["draining"] is True

    operator.must("drain", "--off")
    assert road.work() == 1
    assert [job.state for job in road.jobs()] == [JobState.READY]
    assert operator.data("status")["draining"] is False


def test_a_drain_waits_for_what_runs_and_what_is_to_be_sent(
    operator: Operator, database: Database
) -> None:
    with database.write() as connection:
        enqueued(connection, send_to=("pacs",))
        job = claimed(connection)

    def finish() -> None:
        with database.write() as connection:
            publish(connection, job)
        with database.write() as connection:
            for row, _ in deliveries.due(connection, "pacs", now=NOW):
                stored = DeliveryState.STORED
                deliveries.record(connection, row, stored, status="0", next_try_at=NOW, now=NOW)

    timer = threading.Timer(0.8, finish)
    timer.start()
    assert "everything is sent" in operator.must("drain", "--wait", "30")
    timer.join()
    with database.read() as connection:
        assert jobs.find(connection, job.id).state is JobState.DONE  # type: ignore[union-attr]


def test_a_drain_says_what_it_could_not_wait_for(operator: Operator, database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, send_to=("pacs",))
        publish(connection, claimed(connection))
    status, said = operator.ask("drain", "--wait", "0")
    assert status == 1
    assert "2 objects wait for pacs." in said
    assert "sent after the next start" in said
