"""Deliveries: one row per job, peer and object; the job follows them."""

import pytest
from sqlalchemy import Connection

from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import DeliveryState, Job, JobState, OutboxObject, Outcome
from tests.database.made import NOW, SEG, SR, again, claimed, enqueued

PENDING, STORED, REFUSED = DeliveryState.PENDING, DeliveryState.STORED, DeliveryState.REFUSED


def published(
    connection: Connection, key: str = "k", objects: tuple[OutboxObject, ...] = (SEG, SR)
) -> Job:
    """A job whose results wait for two peers."""
    enqueued(connection, key)
    job = claimed(connection)
    publish(connection, job, objects)
    return again(connection, job)


def publish(connection: Connection, job: Job, objects: tuple[OutboxObject, ...]) -> None:
    deliveries.publish(
        connection,
        job,
        objects,
        outcome=Outcome.FINDINGS,
        reason=None,
        timings={"load": 1.5},
        now=NOW,
    )


def answer(connection: Connection, peer: str, *states: DeliveryState, now: float = NOW) -> None:
    """The peer's answers to what is due, in order."""
    due = deliveries.due(connection, peer, now=now)
    for (delivery, _), state in zip(due, states, strict=True):
        deliveries.record(connection, delivery, state, status="said", next_try_at=now + 10, now=now)


def test_each_peer_gets_each_object(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        rows = deliveries.of_job(connection, job.id)
        assert [(row["peer"], row["kind"], row["state"]) for row in rows] == [
            ("archive", "seg", "pending"),
            ("archive", "sr", "pending"),
            ("pacs", "seg", "pending"),
            ("pacs", "sr", "pending"),
        ]
        assert (job.state, job.outcome, job.timings) == ("ready", "findings", {"load": 1.5})
        assert deliveries.backlog(connection) == {"archive": 2, "pacs": 2}
        assert [key for _, key in deliveries.due(connection, "pacs", now=NOW)] == ["k", "k"]


def test_nothing_is_published_without_the_lease(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection)
        job = claimed(connection)
        jobs.move(connection, job, JobState.CANCELLED, now=NOW)
    with pytest.raises(LeaseLost), database.write() as connection:
        publish(connection, job, (SEG,))
    with database.read() as connection:
        assert deliveries.backlog(connection) == {}


def test_a_job_is_done_when_the_last_object_is_stored(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        answer(connection, "archive", STORED, STORED)
        answer(connection, "pacs", STORED, PENDING)
        assert again(connection, job).state is JobState.READY
        answer(connection, "pacs", STORED, now=NOW + 10)
        assert again(connection, job).state is JobState.DONE


def test_a_job_is_undelivered_when_the_last_answer_came_and_one_was_no(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        answer(connection, "archive", REFUSED, STORED)
        assert again(connection, job).state is JobState.READY
        answer(connection, "pacs", STORED, STORED)
        assert again(connection, job).state is JobState.UNDELIVERED


def test_a_job_with_nothing_to_deliver_is_done(database: Database) -> None:
    with database.write() as connection:
        assert published(connection, objects=()).state is JobState.DONE


def test_what_was_put_off_is_due_later(database: Database) -> None:
    with database.write() as connection:
        published(connection)
        answer(connection, "pacs", PENDING, PENDING)
        assert deliveries.due(connection, "pacs", now=NOW + 9) == []
        later = deliveries.due(connection, "pacs", now=NOW + 10)
        assert [(delivery.tries, delivery.status) for delivery, _ in later] == [(1, "said")] * 2


def test_the_oldest_comes_first_and_jobs_come_whole(database: Database) -> None:
    with database.write() as connection:
        for key in ("a", "b", "c"):
            published(connection, key)
        due = deliveries.due(connection, "pacs", now=NOW, limit=3)
        assert [key for _, key in due] == ["a", "a", "b", "b"]


def test_an_answer_counts_once(database: Database) -> None:
    """What is stored stays stored, whatever a second sender says of it."""
    with database.write() as connection:
        job = published(connection)
        (first, _), *_ = deliveries.due(connection, "pacs", now=NOW)
        for state in (STORED, REFUSED, PENDING):
            deliveries.record(connection, first, state, status="", next_try_at=NOW, now=NOW)
        row = next(row for row in deliveries.of_job(connection, job.id) if row["id"] == first.id)
        assert (row["state"], row["tries"], row["finished_at"]) == ("stored", 1, NOW)


def test_a_retry_sends_only_what_was_refused(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        answer(connection, "archive", REFUSED, STORED)
        answer(connection, "pacs", STORED, STORED)
        assert deliveries.retry(connection, again(connection, job), now=NOW + 100) == 1
        (delivery, _), *others = deliveries.due(connection, "archive", now=NOW + 100)
        assert (delivery.kind, delivery.created_at, others) == ("seg", NOW + 100, [])
        answer(connection, "archive", STORED, now=NOW + 100)
        assert again(connection, job).state is JobState.DONE


def test_results_of_a_cancelled_job_are_not_sent(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        answer(connection, "archive", STORED, PENDING)
        jobs.move(connection, job, JobState.CANCELLED, now=NOW, why="operator")
        assert deliveries.due(connection, "pacs", now=NOW + 100) == []
        assert deliveries.due(connection, "archive", now=NOW + 100) == []
        assert deliveries.backlog(connection) == {}


def test_an_answer_that_comes_after_the_cancel_leaves_it_cancelled(database: Database) -> None:
    with database.write() as connection:
        job = published(connection, objects=(SEG,))
        due = [*deliveries.due(connection, "pacs", now=NOW)]
        due += deliveries.due(connection, "archive", now=NOW)
        jobs.move(connection, job, JobState.CANCELLED, now=NOW, why="operator")
        for delivery, _ in due:
            deliveries.record(connection, delivery, STORED, status="", next_try_at=NOW, now=NOW)
        assert again(connection, job).state is JobState.CANCELLED
