"""Who works on which job, until when: claimed, renewed, given back, taken from who went silent."""

import uuid
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Select, or_, select, update

from dicom_ai_node.database import jobs
from dicom_ai_node.database.tables import job
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import Job, JobState

WORKER_LOST = "worker_lost"
RESULT_IS_THERE = "the worker ended, and its result is there already"
LONGEST_WAIT_S = 25 * 3600.0  # of a job: until the hours of its route, which are of one day
LOST_WORKERS_FORGIVEN = 3  # times max_attempts


def claim(
    connection: Connection,
    *,
    worker: str,
    lease_s: float,
    now: float,
    disabled: Collection[tuple[str, str]] = (),
    untried_only: bool = False,
) -> Job | None:
    """Lease the runnable job of the lowest rank; None when there is none.

    Jobs of `disabled` models, by name and version, wait. One statement on purpose:
    select-then-update hands the same job to two workers.
    """
    first = (
        _runnable(now, disabled, untried_only=untried_only)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    leased = connection.execute(
        update(job)
        .where(job.c.id == first)
        .values(
            state=JobState.RUNNING,
            attempts=job.c.attempts + 1,  # counted before it starts (P10)
            lease_id=str(uuid.uuid4()),
            lease_expires_at=now + lease_s,
            worker=worker,
        )
        .returning(job)
    )
    row = leased.mappings().one_or_none()
    if row is None:
        return None
    jobs.note(connection, row["id"], JobState.QUEUED, JobState.RUNNING, f"attempt by {worker}", now)
    return jobs.of_row(row)


def next_runnable(
    connection: Connection, *, now: float, disabled: Collection[tuple[str, str]] = ()
) -> Job | None:
    """What `claim` would lease, unless somebody else does so first."""
    first = _runnable(now, disabled, untried_only=False).scalar_subquery()
    row = connection.execute(select(job).where(job.c.id == first)).mappings().one_or_none()
    return jobs.of_row(row) if row else None


def _runnable(
    now: float, disabled: Collection[tuple[str, str]], *, untried_only: bool
) -> Select[tuple[int]]:
    # what is to wait longer than anything waits, was told so before the clock was set back
    told_before = (job.c.run_after > now + LONGEST_WAIT_S) & (job.c.run_after < jobs.NOT_YET)
    query = select(job.c.id).where(
        job.c.state == JobState.QUEUED, (job.c.run_after <= now) | told_before
    )
    for model, version in disabled:
        query = query.where(or_(job.c.model != model, job.c.version != version))
    if untried_only:
        query = query.where(job.c.attempts == 0)
    return query.order_by(job.c.rank, job.c.id).limit(1)


def renew(connection: Connection, current: Job, *, lease_s: float, now: float) -> None:
    renewed = connection.execute(
        update(job)
        .where(
            job.c.id == current.id,
            job.c.state == JobState.RUNNING,
            job.c.lease_id == current.lease_id,
        )
        .values(lease_expires_at=now + lease_s)
    )
    if renewed.rowcount != 1:
        raise LeaseLost(f"job {current.id} was taken from this worker")


def is_held(connection: Connection, current: Job) -> bool:
    """Whether a job is still this worker's; it locks nobody out."""
    query = select(job.c.id).where(
        job.c.id == current.id,
        job.c.state == JobState.RUNNING,
        job.c.lease_id == current.lease_id,
    )
    return connection.scalar(query) is not None


def give_back(
    connection: Connection,
    current: Job,
    *,
    error_kind: str,
    error_text: str,
    max_attempts: int,
    backoff_s: float = 0,
    now: float,
) -> JobState:
    """After an attempt without a result: queue the job again, or quarantine it (P10).

    A lost worker says less about the job than a crashed attempt does: it is forgiven more often,
    but not to a job whose attempt has ended badly before. What that one said is kept.
    """
    lost = error_kind == WORKER_LOST
    blamed = not lost or current.error_kind not in (None, WORKER_LOST)
    spent = current.attempts >= max_attempts * (1 if blamed else LOST_WORKERS_FORGIVEN)
    target = JobState.QUARANTINED if spent else JobState.QUEUED
    why = f"{error_kind}: {error_text}"
    changes: dict[str, object] = {"run_after": now + backoff_s}
    if not (lost and blamed):
        changes |= {"error_kind": error_kind, "error_text": error_text}
    jobs.move(connection, current, target, now=now, why=why, **changes)
    return target


def expired_leases(connection: Connection, *, now: float) -> Sequence[Job]:
    query = select(job).where(job.c.state == JobState.RUNNING, job.c.lease_expires_at < now)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]


def running_on(connection: Connection, worker: str) -> Sequence[Job]:
    """Jobs that an earlier process under this worker's name left behind."""
    query = select(job).where(job.c.state == JobState.RUNNING, job.c.worker == worker)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]


def cancel_of_model(
    connection: Connection, model: str, version: str, *, why: str, now: float
) -> int:
    """Stop what is queued or running of one version of a model; how many jobs that were."""
    query = select(job.c.id).where(
        job.c.model == model,
        job.c.version == version,
        job.c.state.in_((JobState.QUEUED, JobState.RUNNING)),
    )
    number = 0
    for job_id in connection.execute(query).scalars().all():
        current = jobs.find(connection, job_id)  # it may have gone with one that it depends on
        if current is not None and current.state in (JobState.QUEUED, JobState.RUNNING):
            jobs.move(connection, current, JobState.CANCELLED, now=now, why=why)
            number += 1
    return number
