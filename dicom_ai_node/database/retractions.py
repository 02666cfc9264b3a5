"""Results that are taken back: what a model produced, what is stopped, which notes reject it.

A rejection note is sent by a job of its own, READY when it is made; its subject tells it apart, so
that nobody takes it for a result. That a job's results are retracted stands among its events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update

from dicom_ai_node.database import jobs
from dicom_ai_node.database.retracted import (
    RETRACTED,
    SUBJECT,
    is_note,
    is_retracted,
    was_retracted,
)
from dicom_ai_node.database.tables import delivery, job, study
from dicom_ai_node.form import Kind
from dicom_ai_node.job import AT_PEER, FINAL_STATES, DeliveryState, Job, JobState, Priority
from dicom_ai_node.study import StudyState

REJECTED = "rejected"  # what is named in place of an input: the instances that the note rejects
GIVEN_UP = "given up after its maximal age"  # begins the status: no word of the peer's
_ON_ITS_WAY = "it was perhaps on its way when it was retracted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """One object of one job at one peer; class and series are "" where the row does not say."""

    job: Job
    peer: str
    kind: str
    sop_class_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    file: str
    state: DeliveryState
    tries: int
    status: str | None
    wants_commitment: bool  # it was stored once: a peer without commitment to it may have it still

    @property
    def is_there(self) -> bool:
        return self.state in AT_PEER

    @property
    def may_be_there(self) -> bool:
        """A broken association leaves open what became of the object; a refusal does not."""
        if self.state is DeliveryState.PENDING:
            return self.tries > 0
        given_up = (self.status or "").startswith(GIVEN_UP)
        is_refused = self.state is DeliveryState.REFUSED
        return self.is_there or (is_refused and (given_up or self.wants_commitment))


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


def jobs_of_model(connection: Connection, model: str, version: str | None) -> Sequence[Job]:
    """The oldest first, without notes."""
    query = select(job).where(_of_model(model, version)).order_by(job.c.id)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]


def produced(connection: Connection, model: str, version: str | None) -> Sequence[Produced]:
    """Every object for every peer, sent or not, the oldest first."""
    of_model = {each.id: each for each in jobs_of_model(connection, model, version)}
    query = select(delivery).join(job).where(_of_model(model, version)).order_by(delivery.c.id)
    return [_produced(row, of_model[row["job_id"]]) for row in connection.execute(query).mappings()]


def notes_of(connection: Connection, model: str) -> Mapping[tuple[str, str], Job]:
    """By peer and SOP Instance UID, the job of the note that rejects it there."""
    query = select(job).where(job.c.model == model, is_note(), job.c.state != JobState.CANCELLED)
    found: dict[tuple[str, str], Job] = {}
    for row in connection.execute(query.order_by(job.c.id)).mappings():
        note = jobs.of_row(row)
        found |= {(peer, uid): note for peer in note.send_to for uid in note.inputs[REJECTED]}
    return found


def built_on(connection: Connection, used: Sequence[Job]) -> Sequence[Job]:
    """Jobs of other models whose input was a mask of one of these."""
    ids = {each.id for each in used}
    studies = {each.study_id for each in used}
    query = select(job).where(job.c.model.not_in({each.model for each in used}))
    every = (jobs.of_row(row) for row in connection.execute(query).mappings())
    return [each for each in every if each.study_id in studies and ids & set(each.uses.values())]


def unmarked(connection: Connection, model: str, version: str | None) -> Sequence[Job]:
    """Jobs with a result that is not retracted yet, those first of which something is still to be
    sent."""
    query = select(job).where(_of_model(model, version), ~was_retracted()).order_by(job.c.id)
    found = [jobs.of_row(row) for row in connection.execute(query).mappings()]
    with_result = [each for each in found if _has_result(connection, each)]
    return sorted(with_result, key=lambda each: each.state is not JobState.READY)


def mark(
    connection: Connection, known: Sequence[Job], *, why: str, is_delivering: bool, now: float
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
            jobs.note(connection, current.id, state, state, f"{RETRACTED}{why}", now)
            continue
        if is_delivering:
            _count_as_tried(connection, current.id)
        jobs.move(connection, current, JobState.CANCELLED, now=now, why=f"{RETRACTED}{why}")


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
            subject=f"{SUBJECT}{new.peer}",
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
    query = (
        select(job.c.key)
        .join(study)
        .where(
            is_note(),
            job.c.state.in_(FINAL_STATES),
            job.c.created_at < before,
            study.c.state == StudyState.PURGED,
        )
    )
    return connection.execute(query).scalars().all()


def _of_model(model: str, version: str | None) -> ColumnElement[bool]:
    of_model = (job.c.model == model) & ~is_note()
    return of_model if version is None else of_model & (job.c.version == version)


def _has_result(connection: Connection, current: Job) -> bool:
    """A cancelled job counts where something of it was tried before."""
    if current.state in (JobState.READY, JobState.DONE, JobState.UNDELIVERED):
        return True
    query = select(delivery).where(delivery.c.job_id == current.id)
    rows = connection.execute(query).mappings().all()
    return any(_produced(row, current).may_be_there for row in rows)


def _count_as_tried(connection: Connection, job_id: int) -> None:
    """Should the sender record an answer after all, that stands instead."""
    connection.execute(
        update(delivery)
        .where(
            delivery.c.job_id == job_id,
            delivery.c.state == DeliveryState.PENDING,
            delivery.c.tries == 0,
        )
        .values(tries=1, status=_ON_ITS_WAY)
    )


def _produced(row: RowMapping, of: Job) -> Produced:
    return Produced(
        job=of,
        peer=row["peer"],
        kind=row["kind"],
        sop_class_uid=row["sop_class_uid"],
        series_instance_uid=row["series_instance_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        file=row["file"],
        state=DeliveryState(row["state"]),
        tries=row["tries"],
        status=row["status"],
        wants_commitment=row["wants_commitment"],
    )
