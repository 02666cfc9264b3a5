"""Rows of a job in several forms, as a peer goes down its ladder."""

import pytest
from sqlalchemy import Connection, update

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.database import deliveries, ladders
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import delivery
from dicom_ai_node.job import DeliveryState, Job, JobState, OutboxObject
from tests.database.made import IN_TWO_FORMS, NOW, TWO_FORMS, again, an_object, claimed, enqueued

PENDING, STORED, REFUSED = DeliveryState.PENDING, DeliveryState.STORED, DeliveryState.REFUSED
LABELMAP, SEG, SR_OF_LABELMAP, SR = (each.sop_instance_uid for each in IN_TWO_FORMS)


def published(
    connection: Connection,
    objects: tuple[OutboxObject, ...] = IN_TWO_FORMS,
    results: ResultForms = TWO_FORMS,
) -> Job:
    enqueued(connection, send_to=("pacs",))
    job = claimed(connection)
    deliveries.publish(
        connection,
        job,
        objects,
        outcome="findings",
        reason=None,
        timings={},
        now=NOW,
        forms={"pacs": results},
    )
    return again(connection, job)


def answer(connection: Connection, *states: DeliveryState) -> None:
    """To what is due, in its order."""
    for (row, _), state in zip(deliveries.due(connection, "pacs", now=NOW), states, strict=True):
        deliveries.record(connection, row, state, status="said", next_try_at=NOW, now=NOW)


def step_down(connection: Connection, job: Job, uid: str) -> int | None:
    rows = deliveries.of_job(connection, job.id)
    (refused,) = [row["id"] for row in rows if row["sop_instance_uid"] == uid]
    return ladders.step_down(connection, job.id, "pacs", [refused], status="0122", now=NOW)


def states(connection: Connection, job: Job) -> dict[str, str]:
    rows = deliveries.of_job(connection, job.id)
    return {row["sop_instance_uid"]: row["state"] for row in rows}


def test_what_is_passed_says_what_the_peer_answered(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        assert step_down(connection, job, LABELMAP) == 1
        rows = {row["sop_instance_uid"]: row for row in deliveries.of_job(connection, job.id)}
        assert [(r["state"], r["status"], r["tries"]) for r in rows.values()] == [
            ("passed", "0122", 1),
            ("pending", None, 0),
            ("passed", None, 0),
            ("pending", None, 0),
        ]
        assert not ladders.has_lower(connection, job.id, "pacs")
        assert step_down(connection, job, SEG) is None


def test_another_form_is_as_young_as_its_offer(database: Database) -> None:
    """Kept back for long, it is not given up for its age at the first try."""
    with database.write() as connection:
        job = published(connection)
        (refused, *_) = deliveries.of_job(connection, job.id)
        later = NOW + 8 * 86_400
        ladders.step_down(connection, job.id, "pacs", [refused["id"]], status="0122", now=later)
        offered = deliveries.due(connection, "pacs", now=later)
        assert [row.created_at for row, _ in offered] == [later, later]


def test_what_was_refused_for_another_reason_is_passed_with_its_form(database: Database) -> None:
    """Nobody sends it again with the next form: `jobs retry` does not know of it."""
    with database.write() as connection:
        job = published(connection)
        answer(connection, REFUSED, PENDING)
        assert step_down(connection, job, SR_OF_LABELMAP) == 1
        assert states(connection, job)[LABELMAP] == "passed"
        answer(connection, STORED, STORED)
        assert again(connection, job).state is JobState.DONE


@pytest.mark.parametrize("uid", [LABELMAP, SR_OF_LABELMAP])
def test_no_other_form_is_left_when_something_is_stored(database: Database, uid: str) -> None:
    with database.write() as connection:
        job = published(connection)
        assert ladders.has_lower(connection, job.id, "pacs")
        answer(connection, STORED, PENDING)
        assert not ladders.has_lower(connection, job.id, "pacs")
        before = states(connection, job)
        assert step_down(connection, job, uid) is None
        assert states(connection, job) == before


def test_a_form_of_which_everything_is_there_ends_the_job(database: Database) -> None:
    results = ResultForms(report=("comprehensive_3d", "none"), also=())
    objects = (
        an_object("seg", 1, ("binary+comprehensive_3d", "binary+none")),
        an_object("sr", 2, ("binary+comprehensive_3d",)),
    )
    with database.write() as connection:
        job = published(connection, objects, results)
        answer(connection, STORED, PENDING)
        assert step_down(connection, job, objects[1].sop_instance_uid) == 1
        assert again(connection, job).state is JobState.DONE


def test_a_peer_that_took_something_does_not_begin_anew(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        step_down(connection, job, LABELMAP)
        answer(connection, REFUSED, STORED)
        before = states(connection, job)
        ladders.back_to_top(connection, job.id, "pacs")
        assert states(connection, job) == before
        assert deliveries.retry(connection, again(connection, job), now=NOW) == 1
        assert [row.sop_instance_uid for row, _ in deliveries.due(connection, "pacs", now=NOW)] == [
            SEG
        ]


def test_a_peer_that_took_nothing_begins_anew(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        step_down(connection, job, LABELMAP)
        answer(connection, REFUSED, REFUSED)
        ladders.back_to_top(connection, job.id, "pacs")
        deliveries.retry(connection, again(connection, job), now=NOW)
        due = [row.sop_instance_uid for row, _ in deliveries.due(connection, "pacs", now=NOW)]
        assert due == [LABELMAP, SR_OF_LABELMAP]
        assert ladders.has_lower(connection, job.id, "pacs")


def test_what_is_kept_back_is_no_backlog(database: Database) -> None:
    with database.write() as connection:
        job = published(connection)
        assert deliveries.backlog(connection) == {"pacs": 2}
        step_down(connection, job, LABELMAP)
        assert deliveries.backlog(connection) == {"pacs": 2}
        answer(connection, STORED, STORED)
        assert deliveries.backlog(connection) == {}
        assert states(connection, job)[SR] == "stored"


def test_what_a_peer_has_committed_to_is_there(database: Database) -> None:
    """It is never sent a form without it."""
    with database.write() as connection:
        job = published(connection)
        committed = update(delivery).where(delivery.c.sop_instance_uid == LABELMAP)
        connection.execute(committed.values(state=DeliveryState.COMMITTED))
        assert not ladders.has_lower(connection, job.id, "pacs")
        ladders.back_to_top(connection, job.id, "pacs")
        assert states(connection, job)[LABELMAP] == DeliveryState.COMMITTED
