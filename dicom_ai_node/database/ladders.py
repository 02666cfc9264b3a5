"""How far down its ladder of forms a peer is with a job; it never has objects of two forms."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select, update

from dicom_ai_node.database import deliveries
from dicom_ai_node.database.tables import delivery
from dicom_ai_node.job import AT_PEER, Delivery, DeliveryState

PENDING, REFUSED, SPARE, PASSED = (
    DeliveryState.PENDING,
    DeliveryState.REFUSED,
    DeliveryState.SPARE,
    DeliveryState.PASSED,
)


def has_lower(connection: Connection, job_id: int, peer: str) -> bool:
    """Whether another form is left, should the peer not take the one that it is offered now."""
    return _lower(_rows(connection, job_id, peer), ()) is not None


def step_down(
    connection: Connection,
    job_id: int,
    peer: str,
    refused: Collection[int],
    *,
    status: str,
    now: float,
) -> int | None:
    """Offer the next form that has all that is stored, and none of `refused` (ids of deliveries).

    The number of its rung; None, and nothing is changed, where there is none.
    """
    rows = _rows(connection, job_id, peer)
    rung = _lower(rows, refused)
    if rung is None:
        return None
    for each in rows:
        if rung in each.rungs and each.state is SPARE:
            _set(connection, each, PENDING, next_try_at=now, created_at=now)  # its age begins
        elif rung not in each.rungs and each.state in (PENDING, REFUSED):
            said = {"status": status, "tries": each.tries + 1} if each.id in refused else {}
            _set(connection, each, PASSED, finished_at=now, **said)
    deliveries.finish_job(connection, job_id, now)
    return rung


def back_to_top(connection: Connection, job_id: int, peer: str) -> None:
    """The peer took nothing in any form: what an operator sends again is the first once more."""
    rows = _rows(connection, job_id, peer)
    if not any(each.state is PASSED for each in rows):
        return
    if any(each.state in (*AT_PEER, PENDING) for each in rows):
        return
    top = min(rung for each in rows for rung in each.rungs)
    for each in rows:
        _set(connection, each, REFUSED if top in each.rungs else SPARE)


def _lower(rows: Sequence[Delivery], refused: Collection[int]) -> int | None:
    """The next rung that the peer can be offered without having two forms."""
    rungs = sorted({rung for each in rows for rung in each.rungs})
    gone = {rung for each in rows if each.state in (SPARE, PASSED) for rung in each.rungs}
    current = next((rung for rung in rungs if rung not in gone), None)
    if current is None:
        return None
    stored = [each for each in rows if each.state in AT_PEER]
    return next(
        (
            rung
            for rung in rungs
            if rung > current
            and all(rung in each.rungs for each in stored)
            and not any(rung in each.rungs for each in rows if each.id in refused)
        ),
        None,
    )


def _rows(connection: Connection, job_id: int, peer: str) -> list[Delivery]:
    """Without what goes along always."""
    query = (
        select(delivery)
        .where(delivery.c.job_id == job_id, delivery.c.peer == peer)
        .order_by(delivery.c.id)
    )
    found = [deliveries.of_row(row) for row in connection.execute(query).mappings()]
    return [each for each in found if each.rungs]


def _set(connection: Connection, row: Delivery, state: DeliveryState, **values: object) -> None:
    query = update(delivery).where(delivery.c.id == row.id)
    connection.execute(query.values(state=state, **values))
