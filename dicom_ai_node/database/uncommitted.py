"""Objects that are stored, and that their peer has not committed to.

Such a delivery is STORED and `wants_commitment`; it has the request that asks for it, and none
before it is asked, or when it is to be asked anew.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, or_, select, true, update

from dicom_ai_node.database import deliveries
from dicom_ai_node.database.produced import GIVEN_UP
from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.job import DeliveryState, JobState

_FIRST_S, _FACTOR = 10.0, 4.0  # until it is sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An object whose peer is asked to commit to it; the class is "" where the row has none."""

    delivery_id: int
    job_id: int
    job_key: str
    peer: str
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    file: str
    forgotten: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of one object that was asked about."""

    wanted: Wanted
    state: DeliveryState
    status: str


def give_up(connection: Connection, peer: str, *, before: float, now: float) -> Sequence[Ended]:
    """What was stored before `before`, and never committed to."""
    status = f"{GIVEN_UP}: stored, and never committed"
    old = wanted(connection, waits(peer), older(before))
    ended = [Ended(wanted=each, state=DeliveryState.REFUSED, status=status) for each in old]
    record(connection, ended, backoff_max_s=0, now=now)
    return ended


def no_longer_asked(connection: Connection, peers: Collection[str], *, now: float) -> int:
    """What waits for the commitment of others than `peers`, whom nobody asks now, is delivered."""
    found = wanted(connection, waits(), delivery.c.peer.not_in(peers))
    for each in found:
        change(connection, each, request_id=None, wants_commitment=False)
    for job_id in dict.fromkeys(each.job_id for each in found):
        deliveries.finish_job(connection, job_id, now)
    return len(found)


def record(
    connection: Connection, ended: Sequence[Ended], *, backoff_max_s: float, now: float
) -> None:
    """What becomes of each, and of the jobs; what is sent again waits `backoff_max_s` at most."""
    for each in ended:
        values: dict[str, object] = {"state": each.state, "finished_at": now}
        if each.state is not DeliveryState.COMMITTED:  # which leaves what was said when it came
            values["status"] = each.status
        if each.state is DeliveryState.PENDING:
            values["finished_at"] = None
            values["forgotten"] = each.wanted.forgotten + 1
            values["next_try_at"] = now + _pause_s(each.wanted.forgotten, backoff_max_s)
        change(connection, each.wanted, request_id=None, **values)
    for job_id in dict.fromkeys(each.wanted.job_id for each in ended):
        deliveries.finish_job(connection, job_id, now)


def wanted(
    connection: Connection, *where: ColumnElement[bool], limit: int | None = None
) -> Sequence[Wanted]:
    query = select(delivery, job.c.key).join(job).where(*where).order_by(delivery.c.id)
    return [_of_row(row) for row in connection.execute(query.limit(limit)).mappings()]


def _of_row(row: RowMapping) -> Wanted:
    return Wanted(
        delivery_id=row["id"],
        job_id=row["job_id"],
        job_key=row["key"],
        peer=row["peer"],
        kind=row["kind"],
        sop_class_uid=row["sop_class_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        file=row["file"],
        forgotten=row["forgotten"],
    )


def change(
    connection: Connection, each: Wanted, *, request_id: int | None, **values: object
) -> None:
    query = update(delivery).where(delivery.c.id == each.delivery_id)
    connection.execute(query.values(commitment_request_id=request_id, **values))


def waits(peer: str | None = None) -> ColumnElement[bool]:
    """It is stored, and its peer, or any, has not committed to it."""
    of_peer = delivery.c.peer == peer if peer is not None else true()
    return and_(
        delivery.c.wants_commitment == true(),
        of_peer,
        delivery.c.state == DeliveryState.STORED,
    )


def to_ask(now: float, longest_s: float) -> ColumnElement[bool]:
    """What is due; what seems to be due later than after `longest_s` is: the clock was set back."""
    return and_(
        delivery.c.commitment_request_id.is_(None),
        or_(delivery.c.next_try_at <= now, delivery.c.next_try_at > now + longest_s),
        job.c.state == JobState.READY,  # an operator may have cancelled it
    )


def older(before: float) -> ColumnElement[bool]:
    """Since it was stored: its peer may have been down before."""
    return and_(delivery.c.finished_at < before, job.c.state == JobState.READY)


def _pause_s(forgotten: int, longest: float) -> float:
    """A peer may take its time to have what it has taken: 10 s, 40 s, 160 s and so on."""
    return min(_FIRST_S * _FACTOR**forgotten, longest)
