"""Requests of ours for commitment: each is a row before it is sent."""

import enum
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from dicom_ai_node.database.tables import commitment_request, delivery, job
from dicom_ai_node.database.uncommitted import Wanted, change, older, to_ask, waits, wanted

AT_ONCE = 500  # references of one request
_KEEP_S = 30 * 86_400.0  # requests that have ended


class RequestState(enum.StrEnum):
    """An old report is welcome whatever the state: what it says is still the peer's word."""

    ASKING = "asking"  # perhaps not sent yet
    ASKED = "asked"
    ANSWERED = "answered"
    EXPIRED = "expired"  # what it did not answer is asked anew


def due(connection: Connection, peer: str, *, now: float, before: float, longest_s: float) -> bool:
    """Whether `ask`, `expire` or `give_up` would find something; it locks nobody out."""
    anything = [
        select(delivery.c.id).join(job).where(waits(peer), to_ask(now, longest_s)),
        select(delivery.c.id).join(job).where(waits(peer), older(before)),
        select(commitment_request.c.id).where(_late(peer, now)),
    ]
    return any(connection.scalar(query.limit(1)) is not None for query in anything)


def ask(
    connection: Connection,
    peer: str,
    transaction_uid: str,
    *,
    answer_s: float,
    now: float,
    longest_s: float,
) -> tuple[int, Sequence[Wanted]]:
    """A request for what is due, to be sent when it is committed; without objects, there is none.

    Without a report within `answer_s` it is asked anew.
    """
    found = wanted(connection, waits(peer), to_ask(now, longest_s), limit=AT_ONCE)
    if not found:
        return 0, ()
    added = connection.execute(
        insert(commitment_request)
        .values(
            transaction_uid=transaction_uid,
            peer=peer,
            state=RequestState.ASKING,
            created_at=now,
            expires_at=now + answer_s,
        )
        .returning(commitment_request.c.id)
    )
    request_id = int(added.scalar_one())
    for each in found:
        change(connection, each, request_id=request_id)
    return request_id, found


def asked(connection: Connection, request_id: int) -> None:
    """The peer has taken the request, and may even have answered it."""
    connection.execute(
        update(commitment_request)
        .where(
            commitment_request.c.id == request_id,
            commitment_request.c.state == RequestState.ASKING,
        )
        .values(state=RequestState.ASKED)
    )


def answered(connection: Connection, request_id: int, *, now: float) -> None:
    """Unless something that it asks for is still open."""
    left = waits() & (delivery.c.commitment_request_id == request_id)
    if connection.scalar(select(delivery.c.id).where(left).limit(1)) is None:
        _end(connection, [request_id], RequestState.ANSWERED, now=now, until=now)


def is_answered(connection: Connection, request_id: int) -> bool:
    query = select(commitment_request.c.state).where(commitment_request.c.id == request_id)
    return connection.scalar(query) == RequestState.ANSWERED


def abandon(connection: Connection, request_id: int, *, until: float, now: float) -> None:
    """It could not be sent, or so it seems: what it asks for is asked anew, and not before."""
    _end(connection, [request_id], RequestState.EXPIRED, now=now, until=until)


def expire(connection: Connection, peer: str, *, now: float) -> int:
    """How many objects had no answer in time, and are asked for anew.

    Not while a request is being sent: one that seems to be was left by a process that was killed.
    """
    connection.execute(
        delete(commitment_request).where(
            commitment_request.c.peer == peer, commitment_request.c.finished_at < now - _KEEP_S
        )
    )
    late = select(commitment_request.c.id).where(_late(peer, now))
    request_ids = connection.execute(late).scalars().all()
    return _end(connection, request_ids, RequestState.EXPIRED, now=now, until=now)


def _late(peer: str, now: float) -> ColumnElement[bool]:
    is_late = and_(
        commitment_request.c.state == RequestState.ASKED, commitment_request.c.expires_at <= now
    )
    was_left = commitment_request.c.state == RequestState.ASKING
    return and_(commitment_request.c.peer == peer, or_(is_late, was_left))


def _end(
    connection: Connection,
    request_ids: Collection[int],
    state: RequestState,
    *,
    now: float,
    until: float,
) -> int:
    """How many objects they left open; those are asked for anew, at `until` at the earliest."""
    number = 0
    for request_id in request_ids:
        ended = update(commitment_request).where(commitment_request.c.id == request_id)
        connection.execute(ended.values(state=state, finished_at=now))
        left = connection.execute(
            update(delivery)
            .where(delivery.c.commitment_request_id == request_id)
            .values(commitment_request_id=None, next_try_at=until)
        )
        number += left.rowcount
    return number
