"""Results that are taken back: what is stopped, and the notes that reject the rest.

A rejection note is sent by a job of its own, READY when it is made; its subject tells it apart, so
that nobody takes it for a result. That a job's results are retracted stands among its events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from dicom_ai_node.database import jobs, jobs_of_study
from dicom_ai_node.database.produced import REJECTED, ResultsOf, has_result
from dicom_ai_node.database.retracted import (
    AGAIN,
    CORRECTED,
    OTHER_PATIENT,
    RETRACTED,
    REVIEWED,
    is_note,
    is_retracted,
    was_retracted,
)
from dicom_ai_node.database.tables import IS_NOTE, delivery, job, job_event, study
from dicom_ai_node.form import Kind
from dicom_ai_node.job import FINAL_STATES, NOTE_SUBJECT, DeliveryState, Job, JobState, Priority
from dicom_ai_node.study import StudyState

_ON_ITS_WAY = "it was perhaps on its way when it was retracted"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNote:
    """What is decided about a rejection note before it is sent; its file lies in the outbox."""

    key: str
    of: Job  # one of those whose results it rejects
    peer: str
    rejects: tuple[str, ...]  # SOP Instance UIDs
    sop_class_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    file: str
    why: str


def built_on(connection: Connection, used: Sequence[Job]) -> Sequence[Job]:
    """Jobs of other models whose input was a mask of one of these."""
    ids = {each.id for each in used}
    studies = {each.study_id for each in used}
    query = select(job).where(job.c.model.not_in({each.model for each in used}))
    every = (jobs.of_row(row) for row in connection.execute(query).mappings())
    return [each for each in every if each.study_id in studies and ids & set(each.uses.values())]


def unmarked(connection: Connection, of: ResultsOf) -> Sequence[Job]:
    """Jobs with a result that is not retracted yet, those first of which something is still to be
    sent."""
    query = select(job).where(of.clause(), ~was_retracted()).order_by(job.c.id)
    found = [jobs.of_row(row) for row in connection.execute(query).mappings()]
    with_result = [each for each in found if has_result(connection, each)]
    return sorted(with_result, key=lambda each: each.state is not JobState.READY)


def mark(
    connection: Connection,
    known: Sequence[Job],
    *,
    why: str,
    is_delivering: bool,
    now: float,
    by: str = RETRACTED,
) -> None:
    """Mark these jobs as retracted, and stop what is yet to be sent of them.

    `is_delivering`: objects may be on their way at this moment.
    """
    for each in known:
        current = jobs.find(connection, each.id)
        if current is None or is_retracted(connection, each.id):
            continue
        if current.state is not JobState.READY:
            state = current.state
            jobs.note(connection, current.id, state, state, f"{by}{why}", now)
            continue
        if is_delivering:
            count_as_tried(connection, current.id)
        jobs.move(connection, current, JobState.CANCELLED, now=now, why=f"{by}{why}")


def count_as_tried(connection: Connection, job_id: int) -> None:
    """What is yet to be sent may be on its way. Should the sender record an answer after all, that
    stands instead."""
    connection.execute(
        update(delivery)
        .where(
            delivery.c.job_id == job_id,
            delivery.c.state == DeliveryState.PENDING,
            delivery.c.tries == 0,
        )
        .values(tries=1, status=_ON_ITS_WAY)
    )


def add_note(connection: Connection, new: NewNote, *, now: float) -> Job:
    """READY at once, with its one delivery."""
    added = connection.execute(
        insert(job)
        .values(
            key=new.key,
            study_id=new.of.study_id,
            study_instance_uid=new.of.study_instance_uid,
            series_instance_uid=new.series_instance_uid,
            model=new.of.model,
            version=new.of.version,
            subject=f"{NOTE_SUBJECT}{new.peer}",
            send_to=[new.peer],
            inputs={REJECTED: list(new.rejects)},
            uses={},
            maps=[],
            priority=Priority.URGENT,
            rank=now,
            reason=new.why,
            state=JobState.READY,
            run_after=now,
            created_at=now,
            timings={},
        )
        .returning(job)
    )
    made = jobs.of_row(added.mappings().one())
    why = f"a rejection note for {len(new.rejects)} objects"
    jobs.note(connection, made.id, None, JobState.READY, why, now)
    connection.execute(
        insert(delivery).values(
            job_id=made.id,
            peer=new.peer,
            kind=Kind.REJECTION,
            sop_class_uid=new.sop_class_uid,
            sop_instance_uid=new.sop_instance_uid,
            series_instance_uid=new.series_instance_uid,
            file=new.file,
            state=DeliveryState.PENDING,
            next_try_at=now,
            created_at=now,
        )
    )
    return made


def spent(connection: Connection, *, before: float) -> Sequence[str]:
    """Keys of old notes, sent, on studies that were purged before the note was made."""
    of_study = select(study.c.state).where(study.c.id == job.c.study_id).scalar_subquery()
    query = select(job.c.key, job.c.state, of_study).where(IS_NOTE, job.c.created_at < before)
    # the states here: by them, SQLite would go through all that is done, or purged
    return [
        key
        for key, state, of_study_now in connection.execute(query)
        if state in FINAL_STATES and of_study_now == StudyState.PURGED
    ]


def made_again(connection: Connection, study_id: int, *, now: float) -> None:
    """A person has the study judged again: what was being sent when it was cancelled is sent on,
    and what else was cancelled or retracted may be made anew."""
    jobs_of_study.resume(connection, study_id, now=now)
    is_cancelled = (job.c.state == JobState.CANCELLED) & ~is_note()
    query = select(job).where(job.c.study_id == study_id, was_retracted() | is_cancelled)
    for row in connection.execute(query).mappings().all():
        state = JobState(row["state"])
        jobs.note(connection, row["id"], state, state, AGAIN, now)


def reviewed(connection: Connection, study_id: int, *, now: float) -> None:
    """A person says that the first patient is the right one: what was made of these images stands,
    and what was stopped or taken back because of the other may be made anew."""
    events = select(job_event.c.id).where(
        job_event.c.job_id == job.c.id, job_event.c.why == f"{CORRECTED}{OTHER_PATIENT}"
    )
    query = select(job).where(job.c.study_id == study_id, events.exists())
    for row in connection.execute(query).mappings().all():
        state = JobState(row["state"])
        jobs.note(connection, row["id"], state, state, REVIEWED, now)
