"""What alarms are raised by, read by way of indexes: nothing here grows slow with the tables."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Float, func, select, type_coerce

from dicom_ai_node.database.probe_runs import is_of_probe, is_probe
from dicom_ai_node.database.retracted import is_note
from dicom_ai_node.database.tables import delivery, job, job_event, study
from dicom_ai_node.database.uncommitted import waits
from dicom_ai_node.job import DeliveryState, JobState, Outcome, Priority
from dicom_ai_node.study import LOST_INSTANCES, StudyState

_NEWEST = 1000  # events


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Objects of one peer, the oldest since then; `status` is what was last said of them."""

    objects: int
    since: float
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Of one model, in some days: how many there are, how many refused the study, how many
    failed."""

    number: int = 0
    refused: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Jobs that could run now: since when the oldest could, by what is said of their priority."""

    oldest: float | None
    oldest_in_a_hurry: float | None  # urgent or routine
    last_begun: float | None  # when a worker last took one, as far as the newest events say


def last_received(connection: Connection) -> float | None:
    """Of a patient; None before the first."""
    query = select(study.c.last_received_at).where(~is_probe())
    return connection.scalar(query.order_by(study.c.last_received_at.desc()).limit(1))


def tried_in_vain(connection: Connection) -> dict[str, Waiting]:
    """By peer, what it was offered and has not taken."""
    query = (
        select(
            delivery.c.peer,
            func.count(),
            func.min(delivery.c.created_at),
            func.max(delivery.c.status),
        )
        .select_from(job)
        .join(delivery)
        .where(
            job.c.state == JobState.READY,
            delivery.c.state == DeliveryState.PENDING,
            delivery.c.tries > 0,
        )
        .group_by(delivery.c.peer)
    )
    return _by_peer(connection.execute(query))


def uncommitted(connection: Connection) -> dict[str, Waiting]:
    """By peer, what it has stored and not committed to, since it stored it."""
    query = (
        select(delivery.c.peer, func.count(), func.min(delivery.c.finished_at))
        .join(job)
        .where(waits(), job.c.state == JobState.READY)
        .group_by(delivery.c.peer)
    )
    return _by_peer((*row, None) for row in connection.execute(query))


def _by_peer(rows: object) -> dict[str, Waiting]:
    found: dict[str, Waiting] = {}
    for peer, objects, since, status in rows:  # type: ignore[attr-defined]
        found[peer] = Waiting(objects=objects, since=since, status=status)
    return found


def answers(connection: Connection, *, since: float, until: float) -> dict[str, Answers]:
    """By model, of jobs that were made in this time and have ended one way or the other."""
    query = (
        select(job.c.model, job.c.outcome, job.c.state, func.count())
        .where(
            job.c.created_at >= since,
            job.c.created_at < until,
            job.c.state.in_(
                (JobState.READY, JobState.DONE, JobState.UNDELIVERED, JobState.QUARANTINED)
            ),
            *(~is_note(), ~is_of_probe()),
        )
        .group_by(job.c.model, job.c.outcome, job.c.state)
    )
    numbers: dict[str, Counter[str]] = {}
    for model, outcome, state, number in connection.execute(query):
        of_model = numbers.setdefault(model, Counter())
        of_model["number"] += number
        if state == JobState.QUARANTINED or outcome == Outcome.FAILED:
            of_model["failed"] += number
        elif outcome == Outcome.NOT_SUITABLE:
            of_model["refused"] += number
    return {model: Answers(**each) for model, each in numbers.items()}


def lost_studies(connection: Connection) -> int:
    """Studies of which a stored image is gone or damaged."""
    query = select(func.count()).where(
        study.c.state == StudyState.NEEDS_REVIEW, study.c.reason == LOST_INSTANCES
    )
    return int(connection.scalar(query) or 0)


def queue(connection: Connection, *, disabled: Collection[tuple[str, str]], now: float) -> Queue:
    """Jobs of disabled models, by name and version, wait for a person, and not for their turn."""
    could_since = type_coerce(func.max(job.c.created_at, job.c.run_after), Float)
    runnable: list[ColumnElement[bool]] = [
        job.c.state == JobState.QUEUED,
        job.c.run_after <= now,
        *((job.c.model != model) | (job.c.version != version) for model, version in disabled),
    ]
    in_a_hurry = job.c.priority.in_((Priority.URGENT, Priority.ROUTINE))
    oldest = select(func.min(could_since)).where(*runnable)
    return Queue(
        oldest=connection.scalar(oldest),
        oldest_in_a_hurry=connection.scalar(oldest.where(in_a_hurry)),
        last_begun=_last_begun(connection),
    )


def _last_begun(connection: Connection) -> float | None:
    newest = select(job_event).order_by(job_event.c.id.desc()).limit(_NEWEST).subquery()
    found: float | None = connection.scalar(
        select(func.max(newest.c.at)).where(newest.c.to_state == JobState.RUNNING)
    )
    return found
