"""What only a person can move on is listed, alarmed, retried or dismissed."""

from pathlib import Path

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from dicom_ai_node import schedule
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, leases
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import DeliveryState, Job, JobState
from tests.database.made import NOW, a_study, again, claimed, enqueued, publish
from tests.operator import Operator

STORED, REFUSED = DeliveryState.STORED, DeliveryState.REFUSED


@pytest.fixture
def operator(config: Config, tmp_path: Path) -> Operator:
    return Operator(tmp_path, config)


def answered(connection: Connection, key: str, **peers: DeliveryState) -> Job:
    """A job with two objects for each peer, and what the peer said to both."""
    enqueued(connection, key, send_to=tuple(peers))
    job = claimed(connection)
    publish(connection, job)
    for peer, state in peers.items():
        for row, _ in deliveries.due(connection, peer, now=NOW):
            deliveries.record(connection, row, state, status="0122", next_try_at=NOW, now=NOW)
    return again(connection, job)


def quarantined(connection: Connection, key: str) -> Job:
    enqueued(connection, key)
    job = claimed(connection)
    leases.give_back(
        connection, job, error_kind="crash", error_text="it crashed", max_attempts=1, now=NOW
    )
    return again(connection, job)


def test_dead_letters_are_listed_with_the_next_step(operator: Operator, database: Database) -> None:
    with database.write() as connection:
        answered(connection, "done", pacs=STORED)
        dead = [answered(connection, "refused", pacs=REFUSED), quarantined(connection, "crashed")]
    listed = operator.data("jobs", "list", "--dead")
    assert [each["id"] for each in listed] == [job.id for job in reversed(dead)]
    assert all("jobs retry" in each["next_step"] for each in listed)
    assert operator.data("status")["dead_letters"] == {
        "undelivered": 1,
        "quarantined": 1,
        "needs_review": 0,
    }


def test_all_of_them_are_retried_at_once(operator: Operator, database: Database) -> None:
    with database.write() as connection:
        dead = [answered(connection, "refused", pacs=REFUSED), quarantined(connection, "crashed")]
    operator.must("jobs", "retry", "--dead")
    with database.read() as connection:
        assert [again(connection, job).state for job in dead] == [JobState.READY, JobState.QUEUED]
    assert "nothing to be retried" in operator.must("jobs", "retry", "--dead")


def test_only_what_one_peer_refused_is_sent_again(operator: Operator, database: Database) -> None:
    with database.write() as connection:
        both = answered(connection, "both", pacs=REFUSED, viewer=REFUSED)
        other = answered(connection, "other", viewer=REFUSED)
    operator.must("jobs", "retry", "--dead", "--peer", "pacs")
    with database.write() as connection:
        assert deliveries.backlog(connection) == {"pacs": 2}
        assert again(connection, other).state is JobState.UNDELIVERED
        for row, _ in deliveries.due(connection, "pacs", now=database.now()):
            deliveries.record(connection, row, STORED, status="0", next_try_at=NOW, now=NOW)
        assert again(connection, both).state is JobState.UNDELIVERED  # the viewer has it not


def test_several_are_dismissed(operator: Operator, database: Database) -> None:
    with database.write() as connection:
        dead = [answered(connection, "refused", pacs=REFUSED), quarantined(connection, "crashed")]
    operator.must("jobs", "cancel", *(str(job.id) for job in dead))
    assert operator.data("jobs", "list", "--dead") == []
    status, said = operator.ask("jobs", "cancel", str(dead[0].id))
    assert (status, "cannot be cancelled any more" in said) == (1, True)
    status, said = operator.ask("jobs", "cancel")
    assert (status, "name the jobs" in said) == (1, True)


@pytest.mark.fault("H7")
def test_what_is_delivered_is_not_sent_again(operator: Operator, database: Database) -> None:
    with database.write() as connection:
        done = answered(connection, "done", pacs=STORED)
    status, said = operator.ask("jobs", "retry", str(done.id))
    assert status == 1
    assert f"job {done.id} is done" in said
    with database.write() as connection:
        assert deliveries.backlog(connection) == {}
        assert again(connection, done).state is JobState.DONE
        assert answered(connection, "next", pacs=STORED).state is JobState.DONE


def test_of_several_none_is_retried_where_one_cannot_be(
    operator: Operator, database: Database
) -> None:
    with database.write() as connection:
        dead, done = quarantined(connection, "crashed"), answered(connection, "done", pacs=STORED)
    assert operator.ask("jobs", "retry", str(dead.id), str(done.id))[0] == 1
    with database.read() as connection:
        assert again(connection, dead).state is JobState.QUARANTINED


def test_a_person_is_reminded_until_all_are_dealt_with(
    operator: Operator, database: Database
) -> None:
    def reminded() -> list[int]:
        with capture_logs() as said:
            schedule.remind(database)
        return [each["quarantined"] for each in said if each["event"] == "dead_letters"]

    assert reminded() == []
    with database.write() as connection:
        job = quarantined(connection, "crashed")
    assert reminded() == [1]
    operator.must("jobs", "cancel", str(job.id))
    assert reminded() == []


def test_moments_are_times_and_a_uid_is_never_cut(operator: Operator, database: Database) -> None:
    uid = "1.2." + "9" * 60
    with database.write() as connection:
        a_study(connection, uid)
        job = answered(connection, "done", pacs=STORED)
    shown = operator.must("jobs", "show", str(job.id))
    assert " created_at  2023-11-1" in shown
    assert uid in operator.must("studies", "list")


def test_what_waits_for_one_peer_is_given_up_and_the_rest_goes_on(
    operator: Operator, database: Database
) -> None:
    """A peer that is gone for good holds no job, and costs the others nothing."""
    pending = DeliveryState.PENDING
    with database.write() as connection:
        here = answered(connection, "here", archive=STORED, gone=pending)
        dead = answered(connection, "dead", archive=STORED, gone=REFUSED)
        sent = answered(connection, "sent", archive=pending, gone=STORED)
    said = operator.must("jobs", "cancel", "--peer", "gone")
    assert "4 objects are not sent to gone any more" in said
    with database.read() as connection:
        states = [again(connection, job).state for job in (here, dead, sent)]
        assert states == [JobState.DONE, JobState.DONE, JobState.READY]
        rows = deliveries.of_job(connection, here.id)
        assert {row["state"] for row in rows if row["peer"] == "gone"} == {"given_up"}
        assert deliveries.backlog(connection) == {"archive": 2}


def test_a_name_that_is_no_peer_is_told_from_one_without_dead_letters(operator: Operator) -> None:
    for verb in (("jobs", "retry", "--dead"), ("jobs", "cancel")):
        status, said = operator.ask(*verb, "--peer", "nix")
        assert status == 1
        assert "no peer nix: peers are archive" in said
