"""A study and all that speaks of it goes from every table; what is left is a hash of its UID."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, func, or_, select

from dicom_ai_node.database import corrections, erased, studies
from dicom_ai_node.database.commitments import CommitmentState
from dicom_ai_node.database.retracted import is_note
from dicom_ai_node.database.tables import (
    commitment,
    delivery,
    expectation,
    fetch,
    instance,
    job,
    job_event,
    recall,
    rejection,
    rejection_note,
    study,
    verdict,
)
from dicom_ai_node.job import Job, JobState

_ANSWERED = commitment.c.state != CommitmentState.PENDING
COMPARED = "a study that it compares with was deleted by an operator"
_AT_ONCE = 500  # bound parameters of one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What has no row any more: names of instance files, and keys of outbox folders."""

    files: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentioned:
    """Where requests for commitment name a study, as far as they were read before its deletion."""

    named: frozenset[str]  # the UIDs that were looked for
    commitments: tuple[int, ...]
    up_to: int  # the last request that was read


def notes_on_their_way(connection: Connection, study_id: int) -> Sequence[int]:
    """Jobs that take results back, and of which a peer has not heard yet."""
    open_ = (JobState.READY, JobState.UNDELIVERED)
    query = select(job.c.id).where(job.c.study_id == study_id, job.c.state.in_(open_), is_note())
    return connection.execute(query.order_by(job.c.id)).scalars().all()


def is_being_retracted(connection: Connection, study_id: int) -> bool:
    query = select(recall.c.id).join(job).where(job.c.study_id == study_id)
    return connection.scalar(query.where(recall.c.finished_at.is_(None)).limit(1)) is not None


def compared_with(connection: Connection, row: RowMapping) -> Sequence[Job]:
    """Jobs on other studies that have its images as an input."""
    found = corrections.made_from(
        connection, [row["study_instance_uid"]], _instances(connection, row["id"])
    )
    return [each for each in found if each.study_id != row["id"]]


def mentions(connection: Connection, row: RowMapping) -> Mentioned:
    """Whoever asks has no transaction that others wait for: each request of the last weeks may
    name thousands of instances."""
    named = _named(connection, row["id"])
    up_to = connection.scalar(select(func.max(commitment.c.id))) or 0
    found = _naming(connection, named, commitment.c.id <= up_to)
    return Mentioned(named=named, commitments=found, up_to=up_to)


def erase(connection: Connection, row: RowMapping, *, mentioned: Mentioned, now: float) -> Gone:
    """Its jobs are stopped by that: their leases are gone, and so is what they were to publish."""
    study_id, uid = row["id"], row["study_instance_uid"]
    _go_on_without(connection, compared_with(connection, row), now=now)
    files = select(instance.c.file).where(instance.c.study_id == study_id)
    keys = select(job.c.key).where(job.c.study_id == study_id)
    gone = Gone(
        files=tuple(connection.execute(files).scalars()),
        keys=tuple(connection.execute(keys).scalars()),
    )
    uids = _instances(connection, study_id)
    named = _named(connection, study_id)
    for table, of_it in _rows_of(study_id):
        connection.execute(delete(table).where(of_it))
    _forget_notes(connection, uids)
    _forget_commitments(connection, named, mentioned)
    forget_uid(connection, uid)
    erased.mark(connection, uid, gone.keys, now=now)  # while its number of changes is there
    connection.execute(delete(study).where(study.c.id == study_id))
    return gone


def _go_on_without(connection: Connection, compared: Sequence[Job], *, now: float) -> None:
    """What has no result yet is stopped, and its study judged again: it may do without."""
    stopped = {each.study_instance_uid for each in compared if is_waiting(each)}
    corrections.stop(connection, compared, COMPARED, now=now)
    for study_instance_uid in sorted(stopped):
        studies.reopen(connection, study_instance_uid)


def is_waiting(compared: Job) -> bool:
    """It has no result yet, so that a deletion stops it."""
    return compared.state in corrections.BEFORE_A_RESULT


def forget_uid(connection: Connection, study_instance_uid: str) -> None:
    """What others have said of it, and where it was looked for."""
    for table in (expectation, fetch):
        connection.execute(delete(table).where(table.c.study_instance_uid == study_instance_uid))


def _rows_of(study_id: int) -> list[tuple[Table, ColumnElement[bool]]]:
    """In the order in which they refer to each other."""
    of_jobs = select(job.c.id).where(job.c.study_id == study_id)
    return [
        (delivery, delivery.c.job_id.in_(of_jobs)),
        (recall, recall.c.job_id.in_(of_jobs)),
        (job_event, job_event.c.job_id.in_(of_jobs)),
        (job, job.c.study_id == study_id),
        (verdict, verdict.c.study_id == study_id),
        (fetch, fetch.c.for_study_id == study_id),
        (instance, instance.c.study_id == study_id),
    ]


def _forget_notes(connection: Connection, uids: Sequence[str]) -> None:
    """Rejection notes among its instances, and what any note says of them."""
    for at in range(0, len(uids), _AT_ONCE):
        some = uids[at : at + _AT_ONCE]
        notes = select(rejection_note.c.id).where(rejection_note.c.sop_instance_uid.in_(some))
        named = or_(
            rejection.c.rejection_note_id.in_(notes), rejection.c.sop_instance_uid.in_(some)
        )
        connection.execute(delete(rejection).where(named))
        connection.execute(
            delete(rejection_note).where(rejection_note.c.sop_instance_uid.in_(some))
        )


def _forget_commitments(
    connection: Connection, named: frozenset[str], mentioned: Mentioned
) -> None:
    """Requests of others that are answered and name any of it. Those that are not yet, are answered
    by what is here then, and go in their time."""
    up_to = mentioned.up_to if named <= mentioned.named else 0  # it has grown, which is rare
    since = _naming(connection, named, (commitment.c.id > up_to) & _ANSWERED)
    for each in (*mentioned.commitments, *since):
        connection.execute(delete(commitment).where(commitment.c.id == each, _ANSWERED))


def _naming(
    connection: Connection, named: frozenset[str], which: ColumnElement[bool]
) -> tuple[int, ...]:
    """Requests for commitment, of these, that name any of them."""
    rows = connection.execute(select(commitment.c.id, commitment.c.references).where(which))
    return tuple(
        row.id
        for row in rows
        if any(sop_instance_uid in named for _, sop_instance_uid in row.references)
    )


def _named(connection: Connection, study_id: int) -> frozenset[str]:
    """UIDs of its instances, and of its results."""
    results = select(delivery.c.sop_instance_uid).join(job).where(job.c.study_id == study_id)
    return frozenset(_instances(connection, study_id)).union(connection.execute(results).scalars())


def _instances(connection: Connection, study_id: int) -> Sequence[str]:
    query = select(instance.c.sop_instance_uid).where(instance.c.study_id == study_id)
    return connection.execute(query).scalars().all()
