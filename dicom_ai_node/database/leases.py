"""Who works on which job, until when: claimed, renewed, given back, taken from who went silent."""

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from dicom_ai_node.database import jobs
from dicom_ai_node.database.tables import job
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import Job, JobState

WORKER_LOST = "worker_lost"
LOST_WORKERS_FORGIVEN = 3  # times max_attempts


def claim(connection: Connection, *, worker: str, lease_s: float, now: float) -> Job | None:
    """Lease the runnable job of the lowest rank; None when there is none.

    One statement on purpose: select-then-update hands the same job to two workers.
    """
    first = (
        select(job.c.id)
        .where(job.c.state == JobState.QUEUED, job.c.run_after <= now)
        .order_by(job.c.rank, job.c.id)
        .limit(1)
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


def any_runnable(connection: Connection, *, now: float) -> bool:
    query = select(job.c.id).where(job.c.state == JobState.QUEUED, job.c.run_after <= now).limit(1)
    return connection.scalar(query) is not None


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

    A lost worker says less about the job than a crashed attempt does: it is forgiven more often.
    """
    lost = error_kind == WORKER_LOST
    spent = current.attempts >= max_attempts * (LOST_WORKERS_FORGIVEN if lost else 1)
    target = JobState.QUARANTINED if spent else JobState.QUEUED
    why = f"{error_kind}: {error_text}"
    changes = {"error_kind": error_kind, "error_text": error_text, "run_after": now + backoff_s}
    jobs.move(connection, current, target, now=now, why=why, **changes)
    return target


def expired_leases(connection: Connection, *, now: float) -> Sequence[Job]:
    query = select(job).where(job.c.state == JobState.RUNNING, job.c.lease_expires_at < now)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]


def running_on(connection: Connection, worker: str) -> Sequence[Job]:
    """Jobs that an earlier process under this worker's name left behind."""
    query = select(job).where(job.c.state == JobState.RUNNING, job.c.worker == worker)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]
