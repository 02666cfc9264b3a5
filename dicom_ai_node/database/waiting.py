"""What waits for a peer that is not there, or is no longer configured."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select, update

from dicom_ai_node.database import deliveries
from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.job import Delivery, DeliveryState, JobState

_WAITS = (
    delivery.c.state == DeliveryState.PENDING,
    delivery.c.job_id.in_(select(job.c.id).where(job.c.state == JobState.READY)),
)


def put_off(connection: Connection, peer: str, *, until: float, status: str) -> None:
    """All that waits for it, together: one try is one for all."""
    connection.execute(
        update(delivery)
        .where(delivery.c.peer == peer, delivery.c.next_try_at < until, *_WAITS)
        .values(next_try_at=until, status=status, tries=delivery.c.tries + 1)
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


def without_peer(peers: Collection[str]) -> str:
    """Why it waits, and what to do."""
    names = " and ".join(sorted(peers))
    return (
        f"cannot be delivered: {names} is no longer under peers: in the configuration; restore it "
        "there, or give the results up with `jobs cancel`"
    )
