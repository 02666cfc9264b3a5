"""Work becomes a job, once: the same is never queued twice, unless it was stopped or taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, insert, select

from dicom_ai_node.database import jobs
from dicom_ai_node.database.erased import is_erased_job
from dicom_ai_node.database.retracted import (
    AGAIN,
    REVIEWED,
    is_corrected,
    is_discarded,
    is_retracted,
    was_discarded,
)
from dicom_ai_node.database.tables import job, job_event
from dicom_ai_node.job import HEAD_START_S, Job, JobState, Outcome, Priority, rerun_key


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is decided about a job before it runs; a refused study has its outcome already."""

    key: str
    study_id: int
    study_instance_uid: str
    series_instance_uid: str
    model: str
    version: str
    subject: str
    send_to: tuple[str, ...]
    inputs: Mapping[str, tuple[str, ...]]  # SOP Instance UIDs, the primary input first
    uses: Mapping[str, str] = field(default_factory=dict)  # keys of jobs whose masks are inputs
    maps: tuple[str, ...] = ()
    priority: Priority = Priority.ROUTINE
    run_after: float = 0.0
    outcome: Outcome | None = None
    reason: str | None = None


def enqueue(connection: Connection, new: NewJob, *, now: float) -> Job | None:
    """None when there is a job with this key already: the same work is never queued twice.

    But for work that the node itself had stopped, whose result another one replaced, or that was
    cancelled or retracted and is asked for again, and that is wanted after all. None, too, where
    the mask that it needs will never be there. An earlier job of the same model on the same subject
    is superseded, and cancelled unless its results are out already.
    """
    known, free = _runs(connection, new.key)
    replaced_by = _replacing(connection, known) if known else None
    if known is not None and replaced_by is None and not _is_over(connection, known):
        return None
    new = replace(new, key=free)
    earlier = _latest(connection, new) or replaced_by
    uses = {name: _used(connection, key) for name, key in new.uses.items()}
    if any(used.state is JobState.CANCELLED for used in uses.values()):
        return None
    made = _add(connection, new, uses, earlier, now)
    if earlier and earlier.state in (JobState.QUEUED, JobState.RUNNING):
        why = f"{jobs.SUPERSEDED_BY}{made.id}"
        jobs.move(connection, earlier, JobState.CANCELLED, now=now, why=why)
    return made


def _add(
    connection: Connection, new: NewJob, uses: Mapping[str, Job], earlier: Job | None, now: float
) -> Job:
    """QUEUED, in the place of an earlier one."""
    waits = any(used.state not in jobs.WITH_RESULT for used in uses.values())
    added = connection.execute(
        insert(job)
        .values(
            key=new.key,
            study_id=new.study_id,
            study_instance_uid=new.study_instance_uid,
            series_instance_uid=new.series_instance_uid,
            model=new.model,
            version=new.version,
            subject=new.subject,
            send_to=list(new.send_to),
            inputs={name: list(uids) for name, uids in new.inputs.items()},
            uses={name: used.id for name, used in uses.items()},
            maps=list(new.maps),
            priority=new.priority,
            rank=now + HEAD_START_S[new.priority],
            outcome=new.outcome,
            reason=new.reason,
            state=JobState.QUEUED,
            run_after=jobs.NOT_YET if waits else max(now, new.run_after),
            created_at=now,
            supersedes=earlier.id if earlier else None,
            timings={},
        )
        .returning(job)
    )
    made = jobs.of_row(added.mappings().one())
    jobs.note(connection, made.id, None, JobState.QUEUED, None, now)
    return made


def standing(connection: Connection, key: str) -> Job | None:
    """The job of this work: the last of its runs, where the node stopped one and began another."""
    return _runs(connection, key)[0]


def _runs(connection: Connection, key: str) -> tuple[Job | None, str]:
    """The last of its runs that is known, and the key of the next one: that of a run which was
    deleted with its study is never used again."""
    found: Job | None = None
    query = select(job)
    while True:
        row = connection.execute(query.where(job.c.key == key)).mappings().one_or_none()
        if row is not None:
            found = jobs.of_row(row)
        elif not is_erased_job(connection, key):
            return found, key
        key = rerun_key(key)


def _used(connection: Connection, key: str) -> Job:
    found = standing(connection, key)
    if found is None:
        raise LookupError("a job needs the mask of one that was not queued before it")
    return found


def _replacing(connection: Connection, replaced: Job) -> Job | None:
    """The job that superseded this one, and stands itself."""
    query = select(job).where(
        job.c.study_id == replaced.study_id,  # by which there is an index
        job.c.supersedes == replaced.id,
        job.c.state != JobState.CANCELLED,
    )
    row = connection.execute(query.order_by(job.c.id.desc()).limit(1)).mappings().one_or_none()
    return jobs.of_row(row) if row else None


def _is_over(connection: Connection, known: Job) -> bool:
    """Its result is not there, or not to be used: the same work makes objects of its own."""
    last = select(job_event.c.why).where(job_event.c.job_id == known.id)
    why = connection.scalar(last.order_by(job_event.c.id.desc()).limit(1)) or ""
    if why == AGAIN:
        return (
            known.state is JobState.CANCELLED
            or is_retracted(connection, known.id)
            or is_corrected(connection, known.id)
        )
    if is_retracted(connection, known.id):
        return why == REVIEWED
    if is_discarded(connection, known.id):
        return True
    stopped = (jobs.NOT_WANTED, jobs.SUPERSEDED_BY, jobs.FOR_A_PERSON, REVIEWED)
    return known.state is JobState.CANCELLED and why.startswith(stopped)


def _latest(connection: Connection, new: NewJob) -> Job | None:
    query = (
        select(job)
        .where(
            job.c.study_id == new.study_id,
            job.c.model == new.model,
            job.c.subject == new.subject,
            job.c.state != JobState.CANCELLED,
            ~was_discarded(),  # it was about other images
        )
        .order_by(job.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return jobs.of_row(row) if row else None
