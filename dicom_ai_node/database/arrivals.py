"""What has come: rows of instances, and whether one is new, known, or contradicts another."""

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from sqlalchemy import Connection, bindparam, func, insert, select, update

from dicom_ai_node.database import rejections, stopped, tallies
from dicom_ai_node.database.open_studies import next_change
from dicom_ai_node.database.tables import instance, study
from dicom_ai_node.study import StudyState
from dicom_ai_node.uids import OURS

_AT_ONCE = 500  # bound parameters of one statement
_SETTLED = (StudyState.ROUTED, StudyState.REFUSED, StudyState.PRIOR)


class Arrival(enum.Enum):
    """What a received instance is to the node."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same bytes again
    CONFLICT = "conflict"  # the same UID, other bytes (P3)
    TOO_MANY = "too many"  # for one study


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """What reception knows of an instance; `file` is its name in the spool."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    patient_digest: str
    calling_ae_title: str
    called_ae_title: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A received instance that is durable, in a file of the spool."""

    received: ReceivedInstance
    file: str
    received_at: float


class Stored(Protocol):
    """What tells two instances of one UID apart: a ReceivedInstance, or a row."""

    @property
    def sha256(self) -> str: ...
    @property
    def series_instance_uid(self) -> str: ...
    @property
    def study_instance_uid(self) -> str: ...


# made once: an instance is looked up for each C-STORE
_COLUMNS = select(
    instance.c.sop_instance_uid,
    instance.c.sha256,
    instance.c.series_instance_uid,
    study.c.study_instance_uid,
    instance.c.file,
).join(study)
_KNOWN = _COLUMNS.where(instance.c.sop_instance_uid.in_(bindparam("uids", expanding=True)))
_KNOWN_ONE = _COLUMNS.where(instance.c.sop_instance_uid == bindparam("uid"))


def arrival(connection: Connection, received: ReceivedInstance) -> Arrival:
    known = connection.execute(_KNOWN_ONE, {"uid": received.sop_instance_uid}).one_or_none()
    return Arrival.NEW if known is None else compare(received, cast("Stored", known))


def compare(received: Stored, before: Stored) -> Arrival:
    """What an instance is beside another one of its UID."""
    same = (
        received.sha256 == before.sha256
        and received.series_instance_uid == before.series_instance_uid
        and received.study_instance_uid == before.study_instance_uid
    )
    return Arrival.DUPLICATE if same else Arrival.CONFLICT


def add(
    connection: Connection,
    received: ReceivedInstance,
    file: str,
    *,
    now: float,
    how: str = tallies.STORED,
) -> Arrival:
    """Commit the row of a durable file; `file` is not taken over unless the answer is NEW."""
    kept = Kept(received=received, file=file, received_at=now)
    return add_all(connection, [kept], how=how)[0]


def add_all(
    connection: Connection, batch: Sequence[Kept], *, how: str = tallies.STORED
) -> list[Arrival]:
    """The same for many, in the order in which they came; a file that has its row is NEW again.

    `how` is the word of the books for those that get a row.
    """
    known = known_of(connection, [kept.received.sop_instance_uid for kept in batch])
    found = []
    fresh: dict[str, list[Kept]] = {}  # by study
    for kept in batch:
        before = known.get(kept.received.sop_instance_uid)
        if before is None:
            known[kept.received.sop_instance_uid] = kept.received, kept.file
            fresh.setdefault(kept.received.study_instance_uid, []).append(kept)
            found.append(Arrival.NEW)
        else:
            there, file = before
            again = compare(kept.received, there)
            is_mine = again is Arrival.DUPLICATE and file == kept.file
            found.append(Arrival.NEW if is_mine else again)
    for group in fresh.values():
        _insert(connection, group)
    tallies.add(
        connection,
        tallies.RECEPTION,
        {
            how: sum(len(group) for group in fresh.values()),
            tallies.DUPLICATE: found.count(Arrival.DUPLICATE),
            tallies.CONFLICT: found.count(Arrival.CONFLICT),
        },
    )
    for kept, each in zip(batch, found, strict=True):
        if each is Arrival.CONFLICT:
            uid = kept.received.sop_instance_uid
            stopped.conflict(connection, uid, now=kept.received_at, came=kept.received)
    return found


def known_of(connection: Connection, uids: Sequence[str]) -> dict[str, tuple[Stored, str]]:
    """What the table has of these, with their files."""
    rows: dict[str, tuple[Stored, str]] = {}
    for at in range(0, len(uids), _AT_ONCE):
        found = connection.execute(_KNOWN, {"uids": uids[at : at + _AT_ONCE]})
        rows.update((row.sop_instance_uid, (cast("Stored", row), row.file)) for row in found)
    return rows


def _insert(connection: Connection, group: Sequence[Kept]) -> None:
    """New instances of one study."""
    study_id = _touch(connection, group)
    connection.execute(
        insert(instance),
        [
            {
                "study_id": study_id,
                "series_instance_uid": kept.received.series_instance_uid,
                "sop_class_uid": kept.received.sop_class_uid,
                "sop_instance_uid": kept.received.sop_instance_uid,
                "transfer_syntax_uid": kept.received.transfer_syntax_uid,
                "sha256": kept.received.sha256,
                "size": kept.received.size,
                "file": kept.file,
                "received_at": kept.received_at,
            }
            for kept in group
        ],
    )


def instance_uids(connection: Connection) -> Iterator[str]:
    """Every SOP Instance UID in the table."""
    query = select(instance.c.sop_instance_uid).execution_options(yield_per=10_000)
    yield from connection.execute(query).scalars()


def count_of(connection: Connection, study_instance_uid: str) -> int:
    """How many instances of a study are in the table."""
    query = (
        select(func.count())
        .select_from(instance)
        .join(study)
        .where(study.c.study_instance_uid == study_instance_uid)
    )
    return int(connection.execute(query).scalar_one())


def file_of(connection: Connection, sop_instance_uid: str) -> str:
    query = select(instance.c.file).where(instance.c.sop_instance_uid == sop_instance_uid)
    return str(connection.execute(query).scalar_one())


def files(connection: Connection) -> set[str]:
    """Every file name that a row speaks of; for the rescan."""
    return set(connection.execute(select(instance.c.file)).scalars())


def _touch(connection: Connection, group: Sequence[Kept]) -> int:
    """New instances (re)open their study, unless the patient differs (P6)."""
    first, now = group[0].received, max(kept.received_at for kept in group)
    row = (
        connection.execute(
            select(study).where(study.c.study_instance_uid == first.study_instance_uid)
        )
        .mappings()
        .one_or_none()
    )
    patients = {kept.received.patient_digest for kept in group}
    if row is None:
        study_id = _open(connection, first, group[0].received_at, now)
    else:
        study_id = int(row["id"])
        known = row["patient_digest"]
        if known:  # "" where a person discarded what was there
            patients.add(known)
        if len(patients) == 1 and row["state"] in _SETTLED and _are_ours(connection, group):
            return study_id  # a result came back: there is nothing to judge
        # never the same time twice, whatever the clock says: settle() sees by it that it grew
        later = math.nextafter(row["last_received_at"], math.inf)
        changes: dict[str, object] = {
            "last_received_at": max(now, later),
            "association_ended_at": None,
            "changed": next_change(),
        }
        if len(patients) == 1 and row["state"] != StudyState.NEEDS_REVIEW:
            changes |= {"state": StudyState.RECEIVING, "reason": None}
            changes["patient_digest"] = next(iter(patients))
        connection.execute(update(study).where(study.c.id == study_id).values(**changes))
    if len(patients) > 1:
        stopped.stop(connection, study_id, stopped.PATIENT_DIFFERS, now)
    return study_id


def _are_ours(connection: Connection, group: Sequence[Kept]) -> bool:
    """Objects that this node made; their UIDs tell at once which ones it has not."""
    uids = [kept.received.sop_instance_uid for kept in group]
    return all(uid.startswith(OURS) for uid in uids) and rejections.is_ours(connection, uids)


def _open(connection: Connection, first: ReceivedInstance, since: float, until: float) -> int:
    added = connection.execute(
        insert(study)
        .values(
            study_instance_uid=first.study_instance_uid,
            state=StudyState.RECEIVING,
            calling_ae_title=first.calling_ae_title,
            called_ae_title=first.called_ae_title,
            patient_digest=first.patient_digest,
            first_received_at=since,
            last_received_at=until,
            changed=next_change(),
        )
        .returning(study.c.id)
    )
    return int(added.scalar_one())
