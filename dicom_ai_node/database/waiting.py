"""What waits for a peer that is not there, or is no longer configured."""

import re
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select, update

from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.job import Delivery, DeliveryState, JobState

_WAITS = (
    delivery.c.state == DeliveryState.PENDING,
    delivery.c.job_id.in_(select(job.c.id).where(job.c.state == JobState.READY)),
)

_WAS_TRIED = (delivery.c.tries > 0, delivery.c.status.is_not(None))
_CODE = re.compile("[0-9A-F]{4}")


def put_off(connection: Connection, peer: str, *, until: float, status: str) -> None:
    """All that waits for it, together: one try is one for all."""
    connection.execute(
        update(delivery)
        .where(delivery.c.peer == peer, delivery.c.next_try_at < until, *_WAITS)
        .values(next_try_at=until, status=status, tries=delivery.c.tries + 1)
    )


def end_pauses(connection: Connection, peer: str, *, now: float) -> None:
    """All that waits for it is due."""
    connection.execute(
        update(delivery)
        .where(delivery.c.peer == peer, delivery.c.next_try_at > now, *_WAITS)
        .values(next_try_at=now)
    )


def older_than(
    connection: Connection, peer: str, created_before: float, *, limit: int = 500
) -> Sequence[Delivery]:
    """What has waited for it since before then, the oldest first."""
    query = (
        select(delivery)
        .where(delivery.c.peer == peer, delivery.c.created_at < created_before, *_WAITS)
        .order_by(delivery.c.id)
        .limit(limit)
    )
    return [deliveries.of_row(row) for row in connection.execute(query).mappings()]


def mark_orphans(connection: Connection, known: Collection[str]) -> dict[str, int]:
    """How many objects wait for each peer that is not configured; it is written beside them."""
    waiting = deliveries.backlog(connection)
    found = {peer: number for peer, number in waiting.items() if peer not in known}
    for peer in found:
        connection.execute(
            update(delivery)
            .where(delivery.c.peer == peer, *_WAITS)
            .values(status=without_peer([peer]))
        )
    return found


def peers_of(connection: Connection, job_ids: Collection[int]) -> dict[int, set[str]]:
    """By job, the peers for which something of it waits."""
    query = select(delivery.c.job_id, delivery.c.peer).where(
        delivery.c.job_id.in_(job_ids), *_WAITS
    )
    found: dict[int, set[str]] = {}
    for job_id, peer in connection.execute(query.distinct()):
        found.setdefault(job_id, set()).add(peer)
    return found


def last_answers(connection: Connection, job_ids: Collection[int]) -> dict[int, str]:
    """By job, what a peer for which something of it waits said to the last try, as a sentence."""
    query = (
        select(delivery.c.job_id, delivery.c.peer, delivery.c.status)
        .where(delivery.c.job_id.in_(job_ids), *_WAITS, *_WAS_TRIED)
        .order_by(delivery.c.id.desc())
    )
    rows = connection.execute(query)
    return {job_id: f"waits for {peer}: {_of(peer, status)}" for job_id, peer, status in rows}


def last_answer(connection: Connection, peer: str) -> str | None:
    """What it said to the last try of something that still waits for it."""
    query = select(delivery.c.status).where(delivery.c.peer == peer, *_WAITS, *_WAS_TRIED).limit(1)
    status = connection.scalar(query)
    return None if status is None else _of(peer, status)


def _of(peer: str, status: str) -> str:
    if _CODE.fullmatch(status):
        return f"it answered {status}; it is tried again"
    said = f"it {status.removeprefix(f'{peer} ')}" if status.startswith(f"{peer} ") else status
    return f"{said}; it is tried again"


def give_up(
    connection: Connection, peer: str, job_ids: Collection[int] | None, *, now: float
) -> int:
    """A person has decided that a peer gets no more of these jobs, or of all; how many objects
    that were. The jobs go on, or end, with what others get."""
    left = (
        select(delivery)
        .join(job)
        .where(
            delivery.c.peer == peer,
            delivery.c.state.in_(
                (DeliveryState.PENDING, DeliveryState.REFUSED, DeliveryState.SPARE)
            ),
            job.c.state.in_((JobState.READY, JobState.UNDELIVERED)),
        )
    )
    if job_ids:
        left = left.where(delivery.c.job_id.in_(job_ids))
    rows = connection.execute(left).mappings().all()
    connection.execute(
        update(delivery)
        .where(delivery.c.id.in_(left.with_only_columns(delivery.c.id)))
        .values(state=DeliveryState.GIVEN_UP, finished_at=now)
    )
    for job_id in dict.fromkeys(row["job_id"] for row in rows):
        current = jobs.find(connection, job_id)
        if current is not None and current.state is JobState.UNDELIVERED:
            why = f"nothing more is sent to {peer}"
            jobs.move(connection, current, JobState.READY, now=now, why=why, **deliveries.NO_ERROR)
        deliveries.finish_job(connection, job_id, now)
    return sum(row["state"] != DeliveryState.SPARE for row in rows)


def without_peer(peers: Collection[str]) -> str:
    """Why it waits, and what to do."""
    names = " and ".join(sorted(peers))
    return (
        f"cannot be delivered: {names} is no longer under peers: in the configuration; restore it "
        "there, or give them up for this peer with `jobs cancel --peer`"
    )
