"""The job table: enqueue, and the one `move()` by which a job changes its state."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from dicom_ai_node.database import tallies
from dicom_ai_node.database.retracted import (
    AGAIN,
    DISCARDED,
    REVIEWED,
    is_corrected,
    is_discarded,
    is_note,
    is_retracted,
    was_corrected,
    was_discarded,
    was_retracted,
)
from dicom_ai_node.database.tables import job, job_event, study
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import (
    FINAL_STATES,
    HEAD_START_S,
    TRANSITIONS,
    Job,
    JobState,
    Outcome,
    Priority,
    rerun_key,
)

# why the node itself cancels a job
NOT_WANTED = "the study has grown, and no route wants this any more"
SUPERSEDED_BY = "superseded by job "
FOR_A_PERSON = "the study waits for a person: "
NOT_YET = 1e18  # run_after of a job that waits for another one's mask

_WITH_RESULT = (JobState.READY, JobState.DONE, JobState.UNDELIVERED)


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

    But for work that the node itself had stopped, whose result another one replaced, or was
    retracted and is asked for again, and that is wanted after all. None, too, where the mask that
    it needs will never be there. An earlier job of the same model on the same subject is
    superseded, and cancelled unless its results are out already.
    """
    known = standing(connection, new.key)
    replaced_by = _replacing(connection, known) if known else None
    if known is not None:
        if replaced_by is None and not _is_over(connection, known):
            return None
        new = replace(new, key=rerun_key(known.key))
    earlier = _latest(connection, new) or replaced_by
    uses = {name: _used(connection, key) for name, key in new.uses.items()}
    if any(used.state is JobState.CANCELLED for used in uses.values()):
        return None
    waits = any(used.state not in _WITH_RESULT for used in uses.values())
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
            run_after=NOT_YET if waits else max(now, new.run_after),
            created_at=now,
            supersedes=earlier.id if earlier else None,
            timings={},
        )
        .returning(job)
    )
    made = of_row(added.mappings().one())
    note(connection, made.id, None, JobState.QUEUED, None, now)
    if earlier and earlier.state in (JobState.QUEUED, JobState.RUNNING):
        move(connection, earlier, JobState.CANCELLED, now=now, why=f"{SUPERSEDED_BY}{made.id}")
    return made


def move(
    connection: Connection,
    current: Job,
    target: JobState,
    *,
    now: float,
    why: str | None = None,
    **changes: Any,
) -> None:
    """Change a job's state, if it still is as `current` says; raises LeaseLost if it is not.

    Leaving RUNNING ends the lease. `changes` are columns that change with the state.
    """
    if target not in TRANSITIONS[current.state]:
        raise ValueError(f"a job does not go from {current.state} to {target}")
    moved = connection.execute(
        update(job)
        .where(
            job.c.id == current.id,
            job.c.state == current.state,
            job.c.lease_id.is_not_distinct_from(current.lease_id),
        )
        .values(state=target, lease_id=None, lease_expires_at=None, worker=None, **changes)
    )
    if moved.rowcount != 1:
        raise LeaseLost(f"job {current.id} is no longer {current.state} under this lease")
    note(connection, current.id, current.state, target, why, now)
    if target in (JobState.READY, JobState.CANCELLED):
        _tell_dependents(connection, current, target, now)


def _tell_dependents(connection: Connection, used: Job, state: JobState, now: float) -> None:
    """Jobs that wait for this one's mask run when it is there, and go when it never will be."""
    waiting = select(job).where(
        job.c.study_id == used.study_id,
        job.c.state == JobState.QUEUED,
        job.c.run_after == NOT_YET,
    )
    for row in connection.execute(waiting).mappings().all():
        dependent = of_row(row)
        if used.id not in dependent.uses.values():
            continue
        if state is JobState.CANCELLED:
            why = f"job {used.id}, whose mask it needs, was cancelled"
            move(connection, dependent, JobState.CANCELLED, now=now, why=why)
        elif all(_has_result(connection, id_) for id_ in dependent.uses.values()):
            connection.execute(update(job).where(job.c.id == dependent.id).values(run_after=now))


def _has_result(connection: Connection, job_id: int) -> bool:
    return connection.scalar(select(job.c.state).where(job.c.id == job_id)) in _WITH_RESULT


def find(connection: Connection, job_id: int) -> Job | None:
    row = connection.execute(select(job).where(job.c.id == job_id)).mappings().one_or_none()
    return of_row(row) if row else None


def listing(
    connection: Connection,
    *,
    state: JobState | None = None,
    states: Collection[JobState] = (),
    study_instance_uid: str | None = None,
    limit: int = 100,
) -> Sequence[Job]:
    """The newest jobs first."""
    query = select(job).order_by(job.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(job.c.state == state)
    if states:
        query = query.where(job.c.state.in_(states))
    if study_instance_uid is not None:
        of = select(study.c.id).where(study.c.study_instance_uid == study_instance_uid)
        query = query.where(job.c.study_id == of.scalar_subquery())
    return [of_row(row) for row in connection.execute(query).mappings()]


def events(connection: Connection, job_id: int) -> Sequence[RowMapping]:
    query = select(job_event).where(job_event.c.job_id == job_id).order_by(job_event.c.id)
    return connection.execute(query).mappings().all()


def cancel_of_study(connection: Connection, study_id: int, *, why: str, now: float) -> None:
    """Stop what is queued, running or still to be sent for a study that needs a person; but not
    the note that takes a result back. Once the person has looked, the work may begin anew."""
    live = (JobState.QUEUED, JobState.RUNNING, JobState.READY)
    query = select(job).where(job.c.study_id == study_id, job.c.state.in_(live), ~is_note())
    # those that depend on another one come after it, and would go with it
    for row in connection.execute(query.order_by(job.c.id.desc())).mappings().all():
        why_now = f"{FOR_A_PERSON}{why}"
        move(connection, of_row(row), JobState.CANCELLED, now=now, why=why_now)


def discard_of_study(connection: Connection, study_id: int, *, now: float) -> None:
    """Nothing of a study's jobs stands any more, but for notes that take results back; what has
    ended says so. Raises LeaseLost where one runs."""
    query = select(job).where(job.c.study_id == study_id, ~is_note())
    for row in connection.execute(query.order_by(job.c.id.desc())).mappings().all():
        current = of_row(row)
        if current.state in FINAL_STATES:
            note(connection, current.id, current.state, current.state, DISCARDED, now)
        elif current.state is JobState.RUNNING:
            raise LeaseLost(f"job {current.id} runs")
        else:
            move(connection, current, JobState.CANCELLED, now=now, why=DISCARDED)


def ready_of_study(connection: Connection, study_id: int) -> Sequence[int]:
    """Jobs of a study whose results are being sent."""
    query = select(job.c.id).where(
        job.c.study_id == study_id, job.c.state == JobState.READY, ~is_note()
    )
    return connection.execute(query).scalars().all()


def standing_results(connection: Connection, study_id: int) -> Sequence[Job]:
    """Jobs of a study that have said something of its images, that no other supersedes, that
    nobody retracted, and whose images nobody rejected."""
    superseded = select(job.c.supersedes).where(
        job.c.study_id == study_id,
        job.c.supersedes.is_not(None),
        job.c.state != JobState.CANCELLED,
    )
    said = (Outcome.FINDINGS, Outcome.NONE, Outcome.PARTLY, Outcome.ABSTAINED)
    query = select(job).where(
        job.c.study_id == study_id,
        job.c.state.in_(_WITH_RESULT),
        job.c.outcome.in_(said),
        job.c.id.not_in(superseded),
        ~was_retracted(),
        ~was_corrected(),
    )
    return [of_row(row) for row in connection.execute(query.order_by(job.c.id)).mappings()]


def keys_of_study(connection: Connection, study_id: int) -> Sequence[str]:
    return connection.execute(select(job.c.key).where(job.c.study_id == study_id)).scalars().all()


def cancel_all_but(
    connection: Connection, study_id: int, keys: Collection[str], *, now: float
) -> None:
    """Stop what has not ended and is no longer wanted of a study."""
    wanted = [found.id for key in keys if (found := standing(connection, key)) is not None]
    query = select(job).where(
        job.c.study_id == study_id,
        job.c.state.in_((JobState.QUEUED, JobState.RUNNING)),
        job.c.id.not_in(wanted),
    )
    for row in connection.execute(query).mappings().all():
        current = find(connection, row["id"])  # it may have gone with one that it depends on
        if current is not None and current.state in (JobState.QUEUED, JobState.RUNNING):
            move(connection, current, JobState.CANCELLED, now=now, why=NOT_WANTED)


def prioritise(connection: Connection, current: Job, priority: Priority) -> None:
    """Another rank for a job that is queued; raises LeaseLost when it is no longer.

    Urgent by a person's word is before all others, and out of its window of time.
    """
    values: dict[str, object] = {"rank": current.created_at + HEAD_START_S[priority]}
    if priority is Priority.URGENT:
        values["rank"] = 0.0
        if current.run_after < NOT_YET:
            values["run_after"] = current.created_at
    changed = connection.execute(
        update(job)
        .where(job.c.id == current.id, job.c.state == JobState.QUEUED)
        .values(priority=priority, **values)
    )
    if changed.rowcount != 1:
        raise LeaseLost(f"job {current.id} is no longer queued")


def counts(connection: Connection) -> Mapping[JobState, int]:
    kept = tallies.read(connection)
    return {state: kept.get((tallies.JOB, state), 0) for state in JobState}


def standing(connection: Connection, key: str) -> Job | None:
    """The job of this work: the last of its runs, where the node stopped one and began another."""
    found: Job | None = None
    query = select(job)
    while row := connection.execute(query.where(job.c.key == key)).mappings().one_or_none():
        found = of_row(row)
        key = rerun_key(key)
    return found


def _used(connection: Connection, key: str) -> Job:
    found = standing(connection, key)
    if found is None:
        raise LookupError("a job needs the mask of one that was not queued before it")
    return found


def _replacing(connection: Connection, replaced: Job) -> Job | None:
    """The job that superseded this one, and stands itself."""
    query = select(job).where(job.c.supersedes == replaced.id, job.c.state != JobState.CANCELLED)
    row = connection.execute(query.order_by(job.c.id.desc()).limit(1)).mappings().one_or_none()
    return of_row(row) if row else None


def _is_over(connection: Connection, known: Job) -> bool:
    """Its result is not there, or not to be used: the same work makes objects of its own."""
    last = select(job_event.c.why).where(job_event.c.job_id == known.id)
    why = connection.scalar(last.order_by(job_event.c.id.desc()).limit(1)) or ""
    if why == AGAIN:
        return is_retracted(connection, known.id) or is_corrected(connection, known.id)
    if is_retracted(connection, known.id):
        return why == REVIEWED
    if is_discarded(connection, known.id):
        return True
    stopped = (NOT_WANTED, SUPERSEDED_BY, FOR_A_PERSON, REVIEWED)
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
    return of_row(row) if row else None


def note(
    connection: Connection,
    job_id: int,
    before: JobState | None,
    after: JobState,
    why: str | None,
    now: float,
) -> None:
    connection.execute(
        insert(job_event).values(job_id=job_id, at=now, from_state=before, to_state=after, why=why)
    )


def of_row(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        key=row["key"],
        study_id=row["study_id"],
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        model=row["model"],
        version=row["version"],
        subject=row["subject"],
        send_to=tuple(row["send_to"]),
        inputs={name: tuple(uids) for name, uids in row["inputs"].items()},
        uses=row["uses"],
        maps=tuple(row["maps"]),
        state=JobState(row["state"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        reason=row["reason"],
        priority=Priority(row["priority"]),
        rank=row["rank"],
        attempts=row["attempts"],
        lease_id=row["lease_id"],
        lease_expires_at=row["lease_expires_at"],
        run_after=row["run_after"],
        error_kind=row["error_kind"],
        error_text=row["error_text"],
        supersedes=row["supersedes"],
        created_at=row["created_at"],
        timings=row["timings"],
    )
