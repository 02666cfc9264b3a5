"""Requests for storage commitment: kept before they are answered, until they are reported."""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from dicom_ai_node.database.tables import commitment, instance

_AT_ONCE = 500  # bound parameters of one statement


class CommitmentState(enum.StrEnum):
    PENDING = "pending"
    REPORTED = "reported"  # and the peer has said that it got the report
    FAILED = "failed"  # the peer could not be told


_PENDING = commitment.c.state == CommitmentState.PENDING


class Reference(NamedTuple):
    """An instance that a peer asks about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommitment:
    """A request as it came (PS3.4 J.3.2)."""

    transaction_uid: str
    calling_ae_title: str
    called_ae_title: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment(NewCommitment):
    """A row; `reasons` has a FailureReason for each reference, 0 where it is committed."""

    id: int
    reasons: tuple[int, ...] | None  # None: not judged yet
    tries: int
    created_at: float


class Stored(NamedTuple):
    """What the table says of an instance that somebody asks about."""

    sop_class_uid: str
    sha256: str
    file: str


def add(
    connection: Connection, new: NewCommitment, *, next_try_at: float, now: float
) -> Commitment | None:
    """Leased by the caller until `next_try_at`; None while the same transaction is pending."""
    same = select(commitment.c.id).where(
        _PENDING,
        commitment.c.transaction_uid == new.transaction_uid,
        commitment.c.calling_ae_title == new.calling_ae_title,
    )
    if connection.scalar(same) is not None:
        return None
    added = connection.execute(
        insert(commitment)
        .values(
            transaction_uid=new.transaction_uid,
            calling_ae_title=new.calling_ae_title,
            called_ae_title=new.called_ae_title,
            references=[list(reference) for reference in new.references],
            state=CommitmentState.PENDING,
            tries=1,
            next_try_at=next_try_at,
            created_at=now,
        )
        .returning(commitment)
    )
    return _commitment(added.mappings().one())


def count_pending(connection: Connection, calling_ae_title: str) -> int:
    query = select(func.count()).where(_PENDING, commitment.c.calling_ae_title == calling_ae_title)
    return int(connection.execute(query).scalar_one())


def claim(connection: Connection, *, lease_s: float, now: float) -> Commitment | None:
    """Lease the one that is due longest, for one more try; None when none is due."""
    first = (
        select(commitment.c.id)
        .where(_PENDING, commitment.c.next_try_at <= now)
        .order_by(commitment.c.next_try_at, commitment.c.id)
        .limit(1)
        .scalar_subquery()
    )
    leased = connection.execute(
        update(commitment)
        .where(commitment.c.id == first)
        .values(tries=commitment.c.tries + 1, next_try_at=now + lease_s)
        .returning(commitment)
    )
    row = leased.mappings().one_or_none()
    return None if row is None else _commitment(row)


def next_due(connection: Connection) -> float | None:
    """When the next one is due; None when nothing is pending."""
    due: float | None = connection.scalar(
        select(func.min(commitment.c.next_try_at)).where(_PENDING)
    )
    return due


def judged(connection: Connection, current: Commitment, reasons: Sequence[int]) -> Commitment:
    """Keep the judgement: every later try reports the same."""
    connection.execute(
        update(commitment).where(commitment.c.id == current.id).values(reasons=list(reasons))
    )
    return replace(current, reasons=tuple(reasons))


def put_off(connection: Connection, ids: Collection[int], *, until: float) -> None:
    """Try these again then, be it later or sooner."""
    connection.execute(
        update(commitment).where(_PENDING, commitment.c.id.in_(ids)).values(next_try_at=until)
    )


def put_off_peer(connection: Connection, calling_ae_title: str, *, until: float) -> None:
    """A peer that is down is not tried for each of its requests."""
    connection.execute(
        update(commitment)
        .where(
            _PENDING,
            commitment.c.calling_ae_title == calling_ae_title,
            commitment.c.next_try_at < until,
        )
        .values(next_try_at=until)
    )


def end(connection: Connection, commitment_id: int, state: CommitmentState) -> bool:
    """From pending to reported or failed; False when it was no longer pending."""
    ended = connection.execute(
        update(commitment).where(_PENDING, commitment.c.id == commitment_id).values(state=state)
    )
    return ended.rowcount == 1


def restart(connection: Connection, *, now: float) -> int:
    """All that is pending is due at once: who had leased it is gone."""
    pending = update(commitment).where(_PENDING).values(next_try_at=now)
    return int(connection.execute(pending).rowcount)


def forget(connection: Connection, *, before: float) -> int:
    """Drop what is reported or failed, and old."""
    old = delete(commitment).where(~_PENDING, commitment.c.created_at < before)
    return int(connection.execute(old).rowcount)


def stored(connection: Connection, sop_instance_uids: Sequence[str]) -> dict[str, Stored]:
    """What the table has of these instances, by their UIDs."""
    columns = (instance.c.sop_class_uid, instance.c.sha256, instance.c.file)
    found: dict[str, Stored] = {}
    for at in range(0, len(sop_instance_uids), _AT_ONCE):
        uids = sop_instance_uids[at : at + _AT_ONCE]
        query = select(instance.c.sop_instance_uid, *columns).where(
            instance.c.sop_instance_uid.in_(uids)
        )
        found.update((uid, Stored(*rest)) for uid, *rest in connection.execute(query))
    return found


def listing(connection: Connection) -> Sequence[RowMapping]:
    return connection.execute(select(commitment).order_by(commitment.c.id)).mappings().all()


def _commitment(row: RowMapping) -> Commitment:
    return Commitment(
        id=row["id"],
        transaction_uid=row["transaction_uid"],
        calling_ae_title=row["calling_ae_title"],
        called_ae_title=row["called_ae_title"],
        references=tuple(Reference(*pair) for pair in row["references"]),
        reasons=None if row["reasons"] is None else tuple(row["reasons"]),
        tries=row["tries"],
        created_at=row["created_at"],
    )
