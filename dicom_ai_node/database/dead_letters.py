"""Jobs that only a person moves on: undelivered and quarantined ones, and how they go on."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.lost import waits_for_a_person
from dicom_ai_node.database.retracted import (
    is_corrected,
    is_retracted,
    was_corrected,
    was_retracted,
)
from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import DeliveryState, Job, JobState


def retriable(
    connection: Connection, states: Collection[JobState], *, peer: str | None = None
) -> Sequence[Job]:
    """The oldest first, without those that were retracted, whose images are not to be used, or
    whose study waits for a person; of one peer, where it is named."""
    query = select(job).where(
        job.c.state.in_(states), ~was_retracted(), ~was_corrected(), ~waits_for_a_person()
    )
    if peer is not None:
        refused = select(delivery.c.id).where(
            delivery.c.job_id == job.c.id,
            delivery.c.peer == peer,
            delivery.c.state == DeliveryState.REFUSED,
        )
        query = query.where(refused.exists())
    return [jobs.of_row(row) for row in connection.execute(query.order_by(job.c.id)).mappings()]


def retry(connection: Connection, current: Job, *, now: float, peer: str | None = None) -> str:
    """Once more, with the same objects where there are any; what that means, in a sentence.

    Raises NodeError where nothing can be retried.
    """
    if is_retracted(connection, current.id):
        raise NodeError(
            f"the results of job {current.id} were retracted and are not sent again: for new "
            "ones, enable the model and judge the study again (`studies judge`)"
        )
    if is_corrected(connection, current.id):
        raise NodeError(
            f"job {current.id} is made of images that are not to be used (`jobs show "
            f"{current.id}`): nothing of it is run or sent again; the study needs images of its own"
        )
    if connection.scalar(select(job.c.id).where(job.c.id == current.id, waits_for_a_person())):
        raise NodeError(
            f"the study of job {current.id} waits for a person: look at it, then "
            "`studies judge --reviewed`, or `studies discard`"
        )
    if current.state is JobState.UNDELIVERED:
        number = deliveries.retry(connection, current, now=now, peer=peer)
        if not number:
            raise NodeError(f"{peer} refused nothing of job {current.id}: see `jobs show`")
        return f"Job {current.id}: {number} objects are sent again."
    if current.state is JobState.QUARANTINED:
        changes: dict[str, object] = {
            "attempts": 0,
            "run_after": now,
            "error_kind": None,
            "error_text": None,
        }
        jobs.move(connection, current, JobState.QUEUED, now=now, why="operator", **changes)
        return f"Job {current.id} is queued again."
    raise NodeError(
        f"job {current.id} is {current.state}: only undelivered and quarantined jobs can be retried"
    )
