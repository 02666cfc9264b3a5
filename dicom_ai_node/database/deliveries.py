"""Deliveries: one row per job, peer and object; one queue per peer."""

from collections.abc import Mapping, Sequence
from math import inf
from types import MappingProxyType

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.database import jobs, tallies
from dicom_ai_node.database.pauses import is_over
from dicom_ai_node.database.rungs import planned
from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.job import AT_PEER, Delivery, DeliveryState, Job, JobState, OutboxObject

_NONE_KNOWN: Mapping[str, ResultForms] = MappingProxyType({})

UNDELIVERED = "undelivered"
NO_ERROR: Mapping[str, None] = {"error_kind": None, "error_text": None}  # that of an earlier try


def publish(
    connection: Connection,
    current: Job,
    objects: Sequence[OutboxObject],
    *,
    outcome: str,
    reason: str | None,
    timings: dict[str, float],
    now: float,
    forms: Mapping[str, ResultForms] = _NONE_KNOWN,
) -> None:
    """RUNNING to READY with every delivery, in one transaction under the fence of the lease.

    `forms` are those of the peers by their names; a peer without has the first of what was made.
    """
    changes = {"outcome": outcome, "reason": reason, "timings": timings, **NO_ERROR}
    jobs.move(connection, current, JobState.READY, now=now, why=f"outcome {outcome}", **changes)
    rows = [
        {
            "job_id": current.id,
            "peer": peer,
            "kind": each.entry.kind,
            "sop_class_uid": each.entry.sop_class_uid,
            "sop_instance_uid": each.entry.sop_instance_uid,
            "series_instance_uid": each.entry.series_instance_uid,
            "file": each.entry.file,
            "sha256": each.entry.sha256,
            "rungs": list(each.rungs),
            "state": each.state,
            "next_try_at": now,
            "created_at": now,
        }
        for peer in current.send_to
        for each in planned(objects, forms.get(peer), peer=peer)
    ]
    if rows:
        connection.execute(insert(delivery), rows)
    else:
        finish_job(connection, current.id, now)


def due(
    connection: Connection, peer: str, *, now: float, longest_s: float = inf, limit: int = 100
) -> Sequence[tuple[Delivery, str]]:
    """What a peer should be sent now, oldest first, each with the key of its job.

    Of a job with something due, all that is pending: whether a form is taken is decided on the
    whole of it. `longest_s`: see `pauses`.
    """
    is_due = is_over(delivery.c.next_try_at, now=now, longest_s=longest_s)
    waits = (
        delivery.c.peer == peer,
        delivery.c.state == DeliveryState.PENDING,
        job.c.state == JobState.READY,  # an operator may have cancelled it
    )
    oldest = (
        select(delivery.c.job_id)
        .join(job)
        .where(*waits, is_due)
        .order_by(delivery.c.id)
        .limit(limit)
    )
    query = (
        select(delivery, job.c.key)
        .join(job)
        .where(*waits, delivery.c.job_id.in_(oldest))
        .order_by(delivery.c.id)
    )
    return [(of_row(row), row["key"]) for row in connection.execute(query).mappings()]


def are_wanted(connection: Connection, ids: Sequence[int]) -> bool:
    """Whether all of these still wait, and their job has not been stopped."""
    query = (
        select(func.count())
        .select_from(delivery)
        .join(job)
        .where(
            delivery.c.id.in_(ids),
            delivery.c.state == DeliveryState.PENDING,
            job.c.state == JobState.READY,
        )
    )
    return connection.scalar(query) == len(ids)


def record(
    connection: Connection,
    sent: Delivery,
    state: DeliveryState,
    *,
    status: str,
    next_try_at: float,
    now: float,
    wants_commitment: bool = False,
) -> None:
    """The answer of a peer to one object; the job follows when nothing of it is open.

    With `wants_commitment`, what is stored is to be asked for at once, and open until then.
    """
    is_stored = state is DeliveryState.STORED
    connection.execute(
        update(delivery)
        .where(
            delivery.c.id == sent.id,
            delivery.c.state == DeliveryState.PENDING,
            # the number of a row that was deleted may be that of another one by now
            delivery.c.sop_instance_uid == sent.sop_instance_uid,
            delivery.c.created_at == sent.created_at,
        )
        .values(
            state=state,
            tries=delivery.c.tries + 1,
            status=status,
            next_try_at=now if is_stored else next_try_at,
            finished_at=None if state is DeliveryState.PENDING else now,
            **({"wants_commitment": wants_commitment} if is_stored else {}),
        )
    )
    if state is not DeliveryState.PENDING:
        finish_job(connection, sent.job_id, now)


def is_open(row: RowMapping) -> bool:
    """Whether something of this delivery is still to come; what is kept back does not count."""
    state = DeliveryState(row["state"])
    if state is DeliveryState.STORED:
        return bool(row["wants_commitment"])
    return state is DeliveryState.PENDING


def finish_job(connection: Connection, job_id: int, now: float) -> None:
    """DONE or UNDELIVERED when nothing of it is open."""
    rows = of_job(connection, job_id)
    current = jobs.find(connection, job_id)
    if any(map(is_open, rows)) or current is None or current.state is not JobState.READY:
        return
    refused = [row for row in rows if row["state"] == DeliveryState.REFUSED]
    if not refused:
        jobs.move(connection, current, JobState.DONE, now=now, why="every object is delivered")
        reached(Step.JOB_DONE_WRITTEN)
        return
    there = [row for row in rows if row["state"] in AT_PEER]
    why = _what_is_missing(refused, there)
    told = {"error_kind": UNDELIVERED, "error_text": why}
    jobs.move(connection, current, JobState.UNDELIVERED, now=now, why=why, **told)


def _what_is_missing(refused: Sequence[RowMapping], there: Sequence[RowMapping]) -> str:
    """Where, and why; and what is there, for that is what its reader sees."""
    missing = "; ".join(f"{row['kind']} for {row['peer']}: {row['status']}" for row in refused)
    if not there:
        return missing
    delivered = ", ".join(f"{row['kind']} to {row['peer']}" for row in there)
    return f"{missing} (delivered: {delivered})"


def retry(connection: Connection, current: Job, *, now: float, peer: str | None = None) -> int:
    """Send again what was refused, by all or by one peer, unchanged: UNDELIVERED to READY."""
    why = "retried by an operator"
    jobs.move(connection, current, JobState.READY, now=now, why=why, **NO_ERROR)
    refused = [delivery.c.job_id == current.id, delivery.c.state == DeliveryState.REFUSED]
    if peer is not None:
        refused.append(delivery.c.peer == peer)
    again = connection.execute(
        update(delivery)
        .where(*refused)
        .values(
            state=DeliveryState.PENDING,
            next_try_at=now,
            created_at=now,
            finished_at=None,
            forgotten=0,
        )
    )
    return int(again.rowcount)


def of_job(connection: Connection, job_id: int) -> Sequence[RowMapping]:
    query = select(delivery).where(delivery.c.job_id == job_id).order_by(delivery.c.id)
    return connection.execute(query).mappings().all()


def backlog(connection: Connection) -> dict[str, int]:
    """How many objects wait for each peer."""
    return tallies.by_peer(connection, DeliveryState.PENDING)


def of_row(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        job_id=row["job_id"],
        peer=row["peer"],
        kind=row["kind"],
        sop_instance_uid=row["sop_instance_uid"],
        file=row["file"],
        state=DeliveryState(row["state"]),
        tries=row["tries"],
        next_try_at=row["next_try_at"],
        created_at=row["created_at"],
        status=row["status"],
        rungs=tuple(row["rungs"]),
        sha256=row["sha256"],
    )
