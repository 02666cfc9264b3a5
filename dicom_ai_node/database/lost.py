"""Rows whose files are gone or damaged: instances that are to come again, results that were not
sent yet."""

import math
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from dicom_ai_node.database import jobs
from dicom_ai_node.database.open_studies import next_change
from dicom_ai_node.database.retracted import is_note, was_corrected, was_retracted
from dicom_ai_node.database.tables import delivery, instance, job, study
from dicom_ai_node.job import DAMAGED, LOST, DeliveryState, Job, JobState
from dicom_ai_node.study import LOST_INSTANCES, OPEN_STATES, StudyState

RESULTS_GONE = (
    "its results are gone from the node's disk, and a peer may have some of them: put the folder "
    "back from a backup (`restore`), then `jobs retry`; or retract them and judge the study again"
)
NOTE_GONE = "the rejection note is gone from the node's disk: run `results retract` again"
_AT_ONCE = 500  # bound parameters of one statement


def mark(connection: Connection, files: Collection[str]) -> int:
    """Note that these are lost, and say so at their studies; how many had not been known as such.

    A study that is not settled waits for them: nothing is made of a part of it (P5).
    """
    names = sorted(files)
    found: set[int] = set()
    number = 0
    for at in range(0, len(names), _AT_ONCE):
        these = instance.c.file.in_(names[at : at + _AT_ONCE])
        found.update(connection.execute(select(instance.c.study_id).where(these)).scalars())
        marked = update(instance).where(these, ~instance.c.is_lost).values(is_lost=True)
        number += connection.execute(marked).rowcount
    for study_id in found:
        of_it = update(study).where(study.c.id == study_id)
        is_open = study.c.state.in_(OPEN_STATES)
        connection.execute(
            of_it.where(is_open).values(state=StudyState.NEEDS_REVIEW, reason=LOST_INSTANCES)
        )
        connection.execute(of_it.where(study.c.reason.is_(None)).values(reason=LOST_INSTANCES))
    return number


def replace_file(connection: Connection, sop_instance_uid: str, file: str, *, now: float) -> None:
    """The same bytes, perhaps under another name: for an instance that was lost and came again.

    With the last one of its study, that goes on, and so do the jobs that had to do without.
    """
    changed = connection.execute(
        update(instance)
        .where(instance.c.sop_instance_uid == sop_instance_uid)
        .values(file=file, is_lost=False)
        .returning(instance.c.study_id)
    )
    study_id = changed.scalar_one()
    if not _lost_of(connection, study_id):
        _go_on(connection, study_id)
    _requeue(connection, sop_instance_uid, now)


def files(connection: Connection) -> set[str]:
    """Names of those that are known as lost."""
    return set(connection.execute(select(instance.c.file).where(instance.c.is_lost)).scalars())


def _lost_of(connection: Connection, study_id: int) -> int:
    query = select(func.count()).where(instance.c.study_id == study_id, instance.c.is_lost)
    return connection.execute(query).scalar_one()


def _go_on(connection: Connection, study_id: int) -> None:
    query = select(study).where(study.c.id == study_id, study.c.reason == LOST_INSTANCES)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return
    changes: dict[str, object] = {"reason": None}
    if row["state"] == StudyState.NEEDS_REVIEW:
        later = math.nextafter(row["last_received_at"], math.inf)  # see `arrivals`
        changes |= {"state": StudyState.RECEIVING, "last_received_at": later}
    connection.execute(
        update(study).where(study.c.id == study_id).values(**changes, changed=next_change())
    )


def waits_for_a_person() -> ColumnElement[bool]:
    """Of a row of the job table: its study does, and not for lost images alone; a note that takes
    a result back is sent nevertheless."""
    studies = select(study.c.id).where(
        study.c.id == job.c.study_id,
        study.c.state == StudyState.NEEDS_REVIEW,
        or_(study.c.reason.is_(None), study.c.reason != LOST_INSTANCES),
    )
    return studies.exists() & ~is_note()


def _requeue(connection: Connection, sop_instance_uid: str, now: float) -> None:
    """Should another of its instances still be lost, the worker finds that at once."""
    query = select(job).where(
        job.c.state == JobState.QUARANTINED,
        job.c.error_kind.in_((DAMAGED, LOST)),
        ~was_retracted(),
        ~was_corrected(),
        ~waits_for_a_person(),
    )
    for row in connection.execute(query).mappings().all():
        waiting = jobs.of_row(row)
        if any(sop_instance_uid in uids for uids in waiting.inputs.values()):
            jobs.move(
                connection,
                waiting,
                JobState.QUEUED,
                now=now,
                why="a lost instance came again",
                attempts=0,
                run_after=now,
                error_kind=None,
                error_text=None,
            )


def to_be_sent(connection: Connection) -> Sequence[Job]:
    """Jobs whose results are on their way."""
    query = select(job).where(job.c.state == JobState.READY).order_by(job.c.id)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]


def without_results(connection: Connection, current: Job, *, now: float) -> JobState:
    """For a job whose results are gone before they were sent: it runs again, which gives the same
    UIDs; but not where a peer may have some of them, with contents that may differ."""
    of_it = delivery.c.job_id == current.id
    sent = connection.execute(
        select(func.count()).select_from(delivery).where(of_it, delivery.c.tries > 0)
    ).scalar_one()
    if not sent and not current.is_note:
        connection.execute(delete(delivery).where(of_it))
        why = "its results are gone from the node's disk, and nothing was sent: it runs again"
        jobs.move(connection, current, JobState.QUEUED, now=now, why=why, attempts=0, run_after=now)
        return JobState.QUEUED
    why = NOTE_GONE if current.is_note else RESULTS_GONE
    told = {"error_kind": LOST, "error_text": why}
    connection.execute(  # so that `jobs retry` knows what to send
        update(delivery)
        .where(of_it, delivery.c.state == DeliveryState.PENDING)
        .values(state=DeliveryState.REFUSED, status="its file is gone here", finished_at=now)
    )
    jobs.move(connection, current, JobState.UNDELIVERED, now=now, why=why, **told)
    return JobState.UNDELIVERED


def unknown_keys(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Those that no job has."""
    known: set[str] = set()
    for at in range(0, len(keys), _AT_ONCE):
        query = select(job.c.key).where(job.c.key.in_(keys[at : at + _AT_ONCE]))
        known.update(connection.execute(query).scalars())
    return [key for key in keys if key not in known]


def jobs_with_objects(connection: Connection, sop_instance_uids: Sequence[str]) -> Sequence[Job]:
    """Jobs of which one of these objects was to be delivered."""
    found: dict[int, Job] = {}
    for at in range(0, len(sop_instance_uids), _AT_ONCE):
        named = delivery.c.sop_instance_uid.in_(sop_instance_uids[at : at + _AT_ONCE])
        query = select(job).join(delivery).where(named)
        for row in connection.execute(query).mappings():
            found[row["id"]] = jobs.of_row(row)
    return list(found.values())
