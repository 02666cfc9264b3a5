"""What an operator does to jobs and studies, from the command line or the web page."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from dicom_ai_node.config.disabled import Disabled
from dicom_ai_node.database import jobs, retractions, studies, waiting
from dicom_ai_node.errors import NodeError, NotThere
from dicom_ai_node.job import FINAL_STATES, Job, JobState, Priority


def job_of(connection: Connection, job_id: int) -> Job:
    job = jobs.find(connection, job_id)
    if job is None:
        raise NotThere(f"there is no job {job_id}: see `dicom-ai-node jobs list`")
    return job


def cancel(connection: Connection, job_id: int, *, now: float) -> None:
    job = job_of(connection, job_id)
    if job.state in FINAL_STATES:
        raise NodeError(f"job {job_id} is {job.state} and cannot be cancelled any more")
    jobs.move(connection, job, JobState.CANCELLED, now=now, why=jobs.BY_AN_OPERATOR)


def prioritise(connection: Connection, job_id: int, priority: Priority) -> None:
    job = job_of(connection, job_id)
    if job.state is not JobState.QUEUED:
        raise NodeError(f"job {job_id} is {job.state}: only queued jobs have a priority")
    jobs.prioritise(connection, job, priority)


def judge_again(connection: Connection, study_instance_uid: str, *, now: float) -> None:
    """By the routes as they are now."""
    row = studies.find(connection, study_instance_uid)
    if row is None:
        raise NotThere("no such study: see `dicom-ai-node studies list`")
    if not studies.reopen(connection, study_instance_uid):
        raise NodeError(
            f"the study is {row['state']}: only routed and refused ones are settled"
            + (" (--reviewed, once you have looked)" if row["state"] == "needs_review" else "")
        )
    retractions.made_again(connection, row["id"], now=now)


def why_they_wait(
    connection: Connection,
    found: Sequence[Job],
    *,
    disabled: Mapping[tuple[str, str], Disabled],
    peers: Collection[str],
) -> dict[int, str]:
    """By job, why it is not run or not delivered, where that is no matter of its turn."""
    waits = {
        job.id: f"waits: {marker.sentence}"
        for job in found
        if job.state is JobState.QUEUED and (marker := disabled.get((job.model, job.version)))
    }
    ready = [job.id for job in found if job.state is JobState.READY]
    waits |= waiting.last_answers(connection, ready)
    for job_id, waited_for in waiting.peers_of(connection, ready).items():
        if gone := waited_for.difference(peers):
            waits[job_id] = waiting.without_peer(gone)
    return waits
