"""The jobs of one study: stopped, discarded, and those whose results stand."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from dicom_ai_node.database import deliveries, jobs, new_jobs
from dicom_ai_node.database.retracted import (
    DISCARDED,
    is_note,
    was_corrected,
    was_discarded,
    was_retracted,
)
from dicom_ai_node.database.tables import job, job_event
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import FINAL_STATES, Job, JobState, Outcome

_BY_A_PERSON = (jobs.FOR_A_PERSON, jobs.BY_AN_OPERATOR)


def cancel_of_study(connection: Connection, study_id: int, *, why: str, now: float) -> None:
    """Stop what is queued, running or still to be sent for a study that needs a person; but not
    the note that takes a result back. Once the person has looked, the work may begin anew."""
    live = (JobState.QUEUED, JobState.RUNNING, JobState.READY)
    query = select(job).where(job.c.study_id == study_id, job.c.state.in_(live), ~is_note())
    # those that depend on another one come after it, and would go with it
    for row in connection.execute(query.order_by(job.c.id.desc())).mappings().all():
        why_now = f"{jobs.FOR_A_PERSON}{why}"
        jobs.move(connection, jobs.of_row(row), JobState.CANCELLED, now=now, why=why_now)


def resume(connection: Connection, study_id: int, *, now: float) -> None:
    """A person wants the study after all: results that were being sent when their job was
    cancelled are sent on, under the UIDs that some peers may have already."""
    query = select(job).where(
        job.c.study_id == study_id,
        job.c.state == JobState.CANCELLED,
        *(~is_note(), ~was_retracted(), ~was_corrected(), ~was_discarded()),
    )
    for row in connection.execute(query).mappings().all():
        cancelled = select(job_event.c.from_state, job_event.c.why).where(
            job_event.c.job_id == row["id"],
            job_event.c.to_state == JobState.CANCELLED,
            job_event.c.from_state != JobState.CANCELLED,
        )
        last = connection.execute(cancelled.order_by(job_event.c.id.desc()).limit(1)).one()
        if last.from_state == JobState.READY and (last.why or "").startswith(_BY_A_PERSON):
            why = "a person wants it after all: it is sent on"
            jobs.move(connection, jobs.of_row(row), JobState.READY, now=now, why=why)
            deliveries.finish_job(connection, row["id"], now)


def discard_of_study(connection: Connection, study_id: int, *, now: float) -> None:
    """Nothing of a study's jobs stands any more, but for notes that take results back; what has
    ended says so. Raises LeaseLost where one runs."""
    query = select(job).where(job.c.study_id == study_id, ~is_note())
    for row in connection.execute(query.order_by(job.c.id.desc())).mappings().all():
        current = jobs.of_row(row)
        if current.state in FINAL_STATES:
            jobs.note(connection, current.id, current.state, current.state, DISCARDED, now)
        elif current.state is JobState.RUNNING:
            raise LeaseLost(f"job {current.id} runs")
        else:
            jobs.move(connection, current, JobState.CANCELLED, now=now, why=DISCARDED)


def ready_of_study(connection: Connection, study_id: int) -> Sequence[int]:
    """Jobs of a study whose results are being sent."""
    query = select(job.c.id).where(
        job.c.study_id == study_id, job.c.state == JobState.READY, ~is_note()
    )
    return connection.execute(query).scalars().all()


def standing_results(connection: Connection, study_id: int) -> Sequence[Job]:
    """Jobs of a study that have said something of its images, that no other supersedes, that
    nobody retracted, and whose images nobody rejected."""
    superseded = select(job.c.supersedes).where(
        job.c.study_id == study_id,
        job.c.supersedes.is_not(None),
        job.c.state != JobState.CANCELLED,
    )
    said = (Outcome.FINDINGS, Outcome.NONE, Outcome.PARTLY, Outcome.ABSTAINED)
    query = select(job).where(
        job.c.study_id == study_id,
        job.c.state.in_(jobs.WITH_RESULT),
        job.c.outcome.in_(said),
        job.c.id.not_in(superseded),
        ~was_retracted(),
        ~was_corrected(),
    )
    return [jobs.of_row(row) for row in connection.execute(query.order_by(job.c.id)).mappings()]


def keys_of_study(connection: Connection, study_id: int) -> Sequence[str]:
    return connection.execute(select(job.c.key).where(job.c.study_id == study_id)).scalars().all()


def cancel_all_but(
    connection: Connection, study_id: int, keys: Collection[str], *, now: float
) -> None:
    """Stop what has not ended and is no longer wanted of a study."""
    wanted = [found.id for key in keys if (found := new_jobs.standing(connection, key)) is not None]
    query = select(job).where(
        job.c.study_id == study_id,
        job.c.state.in_((JobState.QUEUED, JobState.RUNNING)),
        job.c.id.not_in(wanted),
    )
    for row in connection.execute(query).mappings().all():
        current = jobs.find(connection, row["id"])  # it may have gone with one that it depends on
        if current is not None and current.state in (JobState.QUEUED, JobState.RUNNING):
            jobs.move(connection, current, JobState.CANCELLED, now=now, why=jobs.NOT_WANTED)


def every(connection: Connection, study_id: int) -> Sequence[Job]:
    """Notes that take results back, too."""
    query = select(job).where(job.c.study_id == study_id).order_by(job.c.id)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]
