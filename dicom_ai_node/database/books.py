"""The books: what came, and where every instance, study, job and object is; read from tallies, so
that it takes no longer when the tables grow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from dicom_ai_node.database import tallies
from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.study import StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a peer is still to be sent; since when, in seconds since the epoch."""

    objects: int
    since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    received: dict[str, int]  # stored, duplicate, conflict, refused A700, ...
    instances: int  # in the table
    deleted: int  # that were in the table
    instances_of: dict[str, int]  # by the state of their study
    studies: dict[str, int]
    jobs: dict[str, int]
    waiting_for: dict[str, int]  # peer -> objects
    waiting: dict[str, Waiting]  # the same, and since when
    uncommitted: dict[str, int]  # peer -> objects that it has, and has not committed to
    dead_letters: dict[str, int]  # what only a person can move on
    balanced: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def books(connection: Connection) -> Books:
    kept = tallies.read(connection)
    studies = _book(kept, tallies.STUDY)
    jobs = _book(kept, tallies.JOB)
    received = _book(kept, tallies.RECEPTION)
    instances_of = _book(kept, tallies.INSTANCE)
    waiting_for = tallies.by_peer(connection, DeliveryState.PENDING)
    deleted = sum(_book(kept, tallies.DELETED).values())
    return Books(
        received=received,
        instances=sum(instances_of.values()),
        deleted=deleted,
        instances_of={name: number for name, number in instances_of.items() if number},
        studies={state.value: studies.get(state, 0) for state in StudyState},
        jobs={state.value: jobs.get(state, 0) for state in JobState},
        waiting_for=waiting_for,
        waiting=_waiting(connection, waiting_for),
        uncommitted=tallies.by_peer(connection, tallies.UNCOMMITTED),
        dead_letters=dead_letters(kept),
        balanced=tallies.surplus(kept) == 0,
    )


def dead_letters(kept: Mapping[tallies.Book, int]) -> dict[str, int]:
    """Jobs and studies that wait for a person."""
    return {
        JobState.UNDELIVERED.value: kept.get((tallies.JOB, JobState.UNDELIVERED), 0),
        JobState.QUARANTINED.value: kept.get((tallies.JOB, JobState.QUARANTINED), 0),
        StudyState.NEEDS_REVIEW.value: kept.get((tallies.STUDY, StudyState.NEEDS_REVIEW), 0),
    }


def _book(kept: Mapping[tallies.Book, int], name: str) -> dict[str, int]:
    return {state: number for (book, state), number in sorted(kept.items()) if book == name}


def _waiting(connection: Connection, waiting_for: Mapping[str, int]) -> dict[str, Waiting]:
    """By way of the jobs that are READY: rows of all others are not looked at."""
    oldest: dict[str, float] = {}
    if waiting_for:
        query = (
            select(delivery.c.peer, func.min(delivery.c.created_at))
            .select_from(job)
            .join(delivery)
            .where(job.c.state == JobState.READY, delivery.c.state == DeliveryState.PENDING)
            .group_by(delivery.c.peer)
        )
        oldest = dict(connection.execute(query).all())
    return {
        peer: Waiting(objects=number, since=oldest.get(peer))
        for peer, number in waiting_for.items()
    }
