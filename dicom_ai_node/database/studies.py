"""Studies and their instances: what came, from whom, and whether it is one patient."""

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from dicom_ai_node.database import jobs
from dicom_ai_node.database.open_studies import next_change
from dicom_ai_node.database.tables import fetch, instance, job, study, verdict
from dicom_ai_node.job import FINAL_STATES, JobState
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import OPEN_STATES, Instance, StudyState

PATIENT_DIFFERS = (
    "instances of this study name different patients: nothing is analysed until the PACS has "
    "corrected it and sends it under a Study Instance UID of its own"
)
BYTES_DIFFER = (
    "an instance came twice with the same UID and different contents: nothing is analysed until "
    "the PACS sends the right one under UIDs of its own"
)


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
_WITH_STUDY = select(instance, study.c.study_instance_uid).join(study)
_SETTLED = (StudyState.ROUTED, StudyState.REFUSED, StudyState.PRIOR)
_AT_ONCE = 500  # bound parameters of one statement


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


def add(connection: Connection, received: ReceivedInstance, file: str, *, now: float) -> Arrival:
    """Commit the row of a durable file; `file` is not taken over unless the answer is NEW."""
    return add_all(connection, [Kept(received=received, file=file, received_at=now)])[0]


def add_all(connection: Connection, batch: Sequence[Kept]) -> list[Arrival]:
    """The same for many, in the order in which they came; a file that has its row is NEW again."""
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
    for kept, each in zip(batch, found, strict=True):
        if each is Arrival.CONFLICT:
            conflict(connection, kept.received.sop_instance_uid, now=kept.received_at)
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


def conflict(connection: Connection, sop_instance_uid: str, *, now: float) -> None:
    """Stop the study of the instance that was kept: a person must say which one is right."""
    query = select(instance.c.study_id).where(instance.c.sop_instance_uid == sop_instance_uid)
    _stop(connection, connection.execute(query).scalar_one(), BYTES_DIFFER, now)


def _stop(connection: Connection, study_id: int, reason: str, now: float) -> None:
    """No processing, and no result that is not out already (P3, P6)."""
    connection.execute(
        update(study)
        .where(study.c.id == study_id)
        .values(state=StudyState.NEEDS_REVIEW, reason=reason)
    )
    jobs.cancel_of_study(connection, study_id, why=reason, now=now)


def file_of(connection: Connection, sop_instance_uid: str) -> str:
    query = select(instance.c.file).where(instance.c.sop_instance_uid == sop_instance_uid)
    return str(connection.execute(query).scalar_one())


def replace_file(connection: Connection, sop_instance_uid: str, file: str) -> None:
    """The same bytes under another name: for an instance whose file was lost and came again."""
    connection.execute(
        update(instance).where(instance.c.sop_instance_uid == sop_instance_uid).values(file=file)
    )


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
        patients.add(row["patient_digest"])
        # never the same time twice, whatever the clock says: settle() sees by it that it grew
        later = math.nextafter(row["last_received_at"], math.inf)
        changes: dict[str, object] = {
            "last_received_at": max(now, later),
            "association_ended_at": None,
            "changed": next_change(),
        }
        if len(patients) == 1 and row["state"] != StudyState.NEEDS_REVIEW:
            changes |= {"state": StudyState.RECEIVING, "reason": None}
        connection.execute(update(study).where(study.c.id == study_id).values(**changes))
    if len(patients) > 1:
        _stop(connection, study_id, PATIENT_DIFFERS, now)
    return study_id


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


def settle(
    connection: Connection,
    row: RowMapping,
    state: StudyState,
    *,
    reason: str | None,
    verdicts: Sequence[dict[str, object]],
    evidence: str | None = None,
    now: float,
) -> bool:
    """Record how a complete study was judged; False when it has grown since `row` was read.

    `evidence` says by what it was found complete.
    """
    settled = connection.execute(
        update(study)
        .where(
            study.c.id == row["id"],
            study.c.state.in_(OPEN_STATES),
            study.c.last_received_at == row["last_received_at"],
        )
        .values(
            state=state,
            reason=reason,
            evidence=evidence,
            revision=study.c.revision + 1,
            routed_at=now,
        )
    )
    if settled.rowcount != 1:
        return False
    connection.execute(delete(verdict).where(verdict.c.study_id == row["id"]))
    if verdicts:
        rows = [{**entry, "study_id": row["id"], "at": now} for entry in verdicts]
        connection.execute(insert(verdict), rows)
    return True


def instances(connection: Connection, spool: Spool, study_id: int) -> Sequence[Instance]:
    """Of a study, in the order of their UIDs."""
    return [_instance(row, spool) for row in instance_rows(connection, study_id)]


def instances_after(
    connection: Connection, spool: Spool, study_id: int, instance_id: int, *, most: int
) -> Sequence[tuple[RowMapping, Instance]]:
    """Those that came after an instance of the same study, in the order of their coming."""
    query = (
        _WITH_STUDY.where(instance.c.study_id == study_id, instance.c.id > instance_id)
        .order_by(instance.c.id)
        .limit(most)
    )
    return [(row, _instance(row, spool)) for row in connection.execute(query).mappings()]


def instances_named(
    connection: Connection, spool: Spool, uids: Sequence[str]
) -> Sequence[Instance]:
    """Those of these SOP Instance UIDs that are there, of whatever study, in their order."""
    found: list[RowMapping] = []
    for at in range(0, len(uids), _AT_ONCE):
        named = instance.c.sop_instance_uid.in_(uids[at : at + _AT_ONCE])
        found += connection.execute(_WITH_STUDY.where(named)).mappings().all()
    return sorted((_instance(row, spool) for row in found), key=lambda each: each.sop_instance_uid)


def instance_rows(connection: Connection, study_id: int) -> Sequence[RowMapping]:
    query = _WITH_STUDY.where(instance.c.study_id == study_id).order_by(instance.c.sop_instance_uid)
    return connection.execute(query).mappings().all()


def _instance(row: RowMapping, spool: Spool) -> Instance:
    return Instance(
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        transfer_syntax_uid=row["transfer_syntax_uid"],
        sha256=row["sha256"],
        path=spool.instance_path(row["file"]),
    )


def find(connection: Connection, study_instance_uid: str) -> RowMapping | None:
    return (
        connection.execute(select(study).where(study.c.study_instance_uid == study_instance_uid))
        .mappings()
        .one_or_none()
    )


def of_patient(connection: Connection, patient_digest: str) -> Sequence[RowMapping]:
    """Settled studies of one patient of which nothing was deleted, in no order."""
    query = select(study).where(
        study.c.patient_digest == patient_digest, study.c.state.in_(_SETTLED)
    )
    return connection.execute(query).mappings().all()


def reopen_prior(
    connection: Connection,
    study_instance_uid: str,
    *,
    calling_ae_title: str,
    called_ae_title: str,
    now: float,
) -> None:
    """Somebody sends what was only fetched for comparison: it is judged like any other study."""
    connection.execute(
        update(study)
        .where(study.c.study_instance_uid == study_instance_uid, study.c.state == StudyState.PRIOR)
        .values(
            state=StudyState.RECEIVING,
            reason=None,
            calling_ae_title=calling_ae_title,
            called_ae_title=called_ae_title,
            last_received_at=now,
        )
    )


def listing(connection: Connection, *, limit: int = 100) -> Sequence[RowMapping]:
    """The newest studies first, with the number of their instances."""
    counted = (
        select(instance.c.study_id, func.count().label("instances"))
        .group_by(instance.c.study_id)
        .subquery()
    )
    query = (
        select(study, func.coalesce(counted.c.instances, 0).label("instances"))
        .outerjoin(counted, counted.c.study_id == study.c.id)
        .order_by(study.c.last_received_at.desc())
        .limit(limit)
    )
    return connection.execute(query).mappings().all()


def verdicts(connection: Connection, study_id: int) -> Sequence[RowMapping]:
    query = select(verdict).where(verdict.c.study_id == study_id).order_by(verdict.c.id)
    return connection.execute(query).mappings().all()


def files(connection: Connection) -> set[str]:
    """Every file name that a row speaks of; for the rescan."""
    return set(connection.execute(select(instance.c.file)).scalars())


def waiting(connection: Connection) -> int:
    """Studies that are still coming, or of which a job has not begun."""
    queued = select(job.c.study_id).where(job.c.state == JobState.QUEUED)
    query = (
        select(func.count())
        .select_from(study)
        .where(or_(study.c.state.in_(OPEN_STATES), study.c.id.in_(queued)))
    )
    return int(connection.execute(query).scalar_one())


def expired(connection: Connection, *, before: float) -> Sequence[RowMapping]:
    """Studies that may be purged: quiet since `before`, and no job that still needs them."""
    busy = select(job.c.study_id).where(job.c.state.not_in(FINAL_STATES))
    compared = select(fetch.c.study_instance_uid).where(fetch.c.for_study_id.in_(busy))
    query = select(study).where(
        study.c.last_received_at < before,
        study.c.state.in_(_SETTLED),
        study.c.id.not_in(busy),
        study.c.study_instance_uid.not_in(compared),
    )
    return connection.execute(query).mappings().all()


def purge(connection: Connection, study_id: int) -> list[str]:
    """Forget the instances of a study and return their files; the study and its jobs stay known."""
    rows = connection.execute(select(instance.c.file).where(instance.c.study_id == study_id))
    names = list(rows.scalars())
    connection.execute(delete(instance).where(instance.c.study_id == study_id))
    connection.execute(
        update(study).where(study.c.id == study_id).values(state=StudyState.PURGED, reason=None)
    )
    return names
