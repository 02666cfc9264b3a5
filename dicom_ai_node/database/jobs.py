"""The job table: jobs found, and the one `move()` by which one changes its state."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from dicom_ai_node.database import tallies
from dicom_ai_node.database.tables import job, job_event, study
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import (
    HEAD_START_S,
    NOTE_SUBJECT,
    TRANSITIONS,
    Job,
    JobState,
    Outcome,
    Priority,
)

# why the node itself cancels a job
NOT_WANTED = "the study has grown, and no route wants this any more"
SUPERSEDED_BY = "superseded by job "
FOR_A_PERSON = "the study waits for a person: "
BY_AN_OPERATOR = "operator"
NOT_YET = 1e18  # run_after of a job that waits for another one's mask

WITH_RESULT = (JobState.READY, JobState.DONE, JobState.UNDELIVERED)


def move(
    connection: Connection,
    current: Job,
    target: JobState,
    *,
    now: float,
    why: str | None = None,
    **changes: Any,
) -> None:
    """Change a job's state, if it still is as `current` says; raises LeaseLost if it is not.

    Leaving RUNNING ends the lease. `changes` are columns that change with the state.
    """
    if target not in TRANSITIONS[current.state]:
        raise ValueError(f"a job does not go from {current.state} to {target}")
    moved = connection.execute(
        update(job)
        .where(
            job.c.id == current.id,
            job.c.state == current.state,
            job.c.lease_id.is_not_distinct_from(current.lease_id),
        )
        .values(state=target, lease_id=None, lease_expires_at=None, worker=None, **changes)
    )
    if moved.rowcount != 1:
        raise LeaseLost(f"job {current.id} is no longer {current.state} under this lease")
    note(connection, current.id, current.state, target, why, now)
    if target in (JobState.READY, JobState.CANCELLED):
        _tell_dependents(connection, current, target, now)


def _tell_dependents(connection: Connection, used: Job, state: JobState, now: float) -> None:
    """Jobs that wait for this one's mask run when it is there, and go when it never will be."""
    waiting = select(job).where(
        job.c.study_id == used.study_id,
        job.c.state == JobState.QUEUED,
        job.c.run_after == NOT_YET,
    )
    for row in connection.execute(waiting).mappings().all():
        dependent = of_row(row)
        if used.id not in dependent.uses.values():
            continue
        if state is JobState.CANCELLED:
            why = f"job {used.id}, whose mask it needs, was cancelled"
            move(connection, dependent, JobState.CANCELLED, now=now, why=why)
        elif all(_has_result(connection, id_) for id_ in dependent.uses.values()):
            connection.execute(update(job).where(job.c.id == dependent.id).values(run_after=now))


def _has_result(connection: Connection, job_id: int) -> bool:
    return connection.scalar(select(job.c.state).where(job.c.id == job_id)) in WITH_RESULT


def find(connection: Connection, job_id: int) -> Job | None:
    row = connection.execute(select(job).where(job.c.id == job_id)).mappings().one_or_none()
    return of_row(row) if row else None


def listing(
    connection: Connection,
    *,
    state: JobState | None = None,
    states: Collection[JobState] = (),
    study_instance_uid: str | None = None,
    notes: bool = True,
    limit: int = 100,
) -> Sequence[Job]:
    """The newest jobs first; `notes`: those that send a rejection note, and no result, as well."""
    query = select(job).order_by(job.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(job.c.state == state)
    if not notes:
        query = query.where(job.c.subject.not_like(f"{NOTE_SUBJECT}%"))
    if states:
        query = query.where(job.c.state.in_(states))
    if study_instance_uid is not None:
        of = select(study.c.id).where(study.c.study_instance_uid == study_instance_uid)
        query = query.where(job.c.study_id == of.scalar_subquery())
    return [of_row(row) for row in connection.execute(query).mappings()]


def events(connection: Connection, job_id: int) -> Sequence[RowMapping]:
    query = select(job_event).where(job_event.c.job_id == job_id).order_by(job_event.c.id)
    return connection.execute(query).mappings().all()


def prioritise(connection: Connection, current: Job, priority: Priority) -> None:
    """Another rank for a job that is queued; raises LeaseLost when it is no longer.

    Urgent by a person's word is before all others, and out of its window of time.
    """
    values: dict[str, object] = {"rank": current.created_at + HEAD_START_S[priority]}
    if priority is Priority.URGENT:
        values["rank"] = 0.0
        if current.run_after < NOT_YET:
            values["run_after"] = current.created_at
    changed = connection.execute(
        update(job)
        .where(job.c.id == current.id, job.c.state == JobState.QUEUED)
        .values(priority=priority, **values)
    )
    if changed.rowcount != 1:
        raise LeaseLost(f"job {current.id} is no longer queued")


def counts(connection: Connection) -> Mapping[JobState, int]:
    kept = tallies.read(connection)
    return {state: kept.get((tallies.JOB, state), 0) for state in JobState}


def note(
    connection: Connection,
    job_id: int,
    before: JobState | None,
    after: JobState,
    why: str | None,
    now: float,
) -> None:
    connection.execute(
        insert(job_event).values(job_id=job_id, at=now, from_state=before, to_state=after, why=why)
    )


def of_row(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        key=row["key"],
        study_id=row["study_id"],
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        model=row["model"],
        version=row["version"],
        subject=row["subject"],
        send_to=tuple(row["send_to"]),
        inputs={name: tuple(uids) for name, uids in row["inputs"].items()},
        uses=row["uses"],
        maps=tuple(row["maps"]),
        state=JobState(row["state"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        reason=row["reason"],
        priority=Priority(row["priority"]),
        rank=row["rank"],
        attempts=row["attempts"],
        lease_id=row["lease_id"],
        lease_expires_at=row["lease_expires_at"],
        run_after=row["run_after"],
        error_kind=row["error_kind"],
        error_text=row["error_text"],
        supersedes=row["supersedes"],
        created_at=row["created_at"],
        timings=row["timings"],
    )
