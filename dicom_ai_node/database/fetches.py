"""Priors that are asked for by C-MOVE: one row a study, the study that waits for it, and peer.

A row without a Study Instance UID is the question before: which priors of that patient does the
peer have? Rows that no study waits for are of studies that were missed: see `missed`.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from sqlalchemy import Connection, RowMapping, exists, func, insert, select, update

from dicom_ai_node.database.pauses import is_over
from dicom_ai_node.database.tables import fetch, study
from dicom_ai_node.study import StudyState

QUESTION = ""  # in the place of a Study Instance UID


class FetchState(enum.StrEnum):
    """MOVED and FAILED are final."""

    PENDING = "pending"
    MOVING = "moving"
    MOVED = "moved"  # or, of a question: answered
    FAILED = "failed"


OPEN = (FetchState.PENDING, FetchState.MOVING)
OF_PRIORS = fetch.c.for_study_id.is_not(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A row; `instances` is what the peer says to have sent."""

    id: int
    study_instance_uid: str
    for_study_id: int | None
    peer: str
    within_days: int | None
    state: FetchState
    reason: str | None
    instances: int | None
    there: int | None  # of what was missed: how many the peer says it has
    tries: int
    created_at: float

    @property
    def is_question(self) -> bool:
        return self.study_instance_uid == QUESTION


def ask(connection: Connection, study_id: int, *, peer: str, within_days: int, now: float) -> None:
    """Ask for the priors of a study, once."""
    _add(connection, QUESTION, study_id, peer, now, within_days=within_days)


def want(
    connection: Connection, question: Fetch, study_instance_uid: str, *, is_here: bool, now: float
) -> None:
    """A study that a question has found; the row of what is here already is only for the books."""
    done: dict[str, object] = {
        "state": FetchState.MOVED,
        "reason": "it was here already",
        "finished_at": now,
    }
    known = done if is_here else {}
    _add(connection, study_instance_uid, question.for_study_id, question.peer, now, **known)


def _add(
    connection: Connection, uid: str, study_id: int | None, peer: str, now: float, **values: object
) -> None:
    same = select(fetch.c.id).where(
        fetch.c.study_instance_uid == uid,
        fetch.c.for_study_id == study_id,
        fetch.c.peer == peer,
    )
    if connection.scalar(same) is None:
        row = {
            "study_instance_uid": uid,
            "for_study_id": study_id,
            "peer": peer,
            "state": FetchState.PENDING,
            "next_try_at": now,
            "created_at": now,
        }
        connection.execute(insert(fetch).values(row | values))


def next_due(
    connection: Connection, peer: str, *, now: float, longest_s: float = inf
) -> Fetch | None:
    """The oldest that should be tried now; `longest_s`: see `pauses`."""
    query = (
        select(fetch)
        .where(
            OF_PRIORS,
            fetch.c.peer == peer,
            fetch.c.state == FetchState.PENDING,
            is_over(fetch.c.next_try_at, now=now, longest_s=longest_s),
        )
        .order_by(fetch.c.id)
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return of_row(row) if row else None


def begin(connection: Connection, due: Fetch, *, now: float) -> bool:
    """PENDING to MOVING, before anything is asked; False when it was given up meanwhile."""
    begun = connection.execute(
        update(fetch)
        .where(fetch.c.id == due.id, fetch.c.state == FetchState.PENDING)
        .values(
            state=FetchState.MOVING,
            tries=fetch.c.tries + 1,
            started_at=func.coalesce(fetch.c.started_at, now),
        )
    )
    return begun.rowcount == 1


def record(
    connection: Connection,
    tried: Fetch,
    state: FetchState,
    *,
    reason: str | None,
    instances: int | None = None,
    next_try_at: float = 0.0,
    now: float,
) -> None:
    """How a try ended."""
    connection.execute(
        update(fetch)
        .where(fetch.c.id == tried.id, fetch.c.state == FetchState.MOVING)
        .values(
            state=state,
            reason=reason,
            instances=instances,
            next_try_at=next_try_at,
            finished_at=None if state is FetchState.PENDING else now,
        )
    )


def resume(connection: Connection, peers: Iterable[str], *, now: float) -> None:
    """At start: what a killed process was fetching waits again; of peers that are gone, no more."""
    connection.execute(
        update(fetch)
        .where(OF_PRIORS, fetch.c.state == FetchState.MOVING)
        .values(state=FetchState.PENDING, next_try_at=now)
    )
    gone = OF_PRIORS & fetch.c.peer.not_in(list(peers))
    _fail(connection, gone, "the configuration has no such peer any more", now)


def give_up(connection: Connection, study_id: int, *, reason: str, now: float) -> None:
    """What waits for its next try is not tried again; what is being moved may still come."""
    _fail(connection, fetch.c.for_study_id == study_id, reason, now)


def _fail(connection: Connection, which: object, reason: str, now: float) -> None:
    connection.execute(
        update(fetch)
        .where(fetch.c.state == FetchState.PENDING, which)  # type: ignore[arg-type]
        .values(state=FetchState.FAILED, reason=reason, finished_at=now)
    )


def of_study(connection: Connection, study_id: int) -> Sequence[Fetch]:
    """What was asked for in the name of a study, the question first."""
    query = select(fetch).where(fetch.c.for_study_id == study_id).order_by(fetch.c.id)
    return [of_row(row) for row in connection.execute(query).mappings()]


def waiting_for(connection: Connection, study_id: int) -> Sequence[Fetch]:
    """Of those, what is not finished: asked for and not come, or come and not settled."""
    unsettled = exists().where(
        study.c.study_instance_uid == fetch.c.study_instance_uid,
        study.c.state == StudyState.RECEIVING,
    )
    on_its_way = fetch.c.state.in_(OPEN) | ((fetch.c.state == FetchState.MOVED) & unsettled)
    query = select(fetch).where(fetch.c.for_study_id == study_id, on_its_way)
    return [of_row(row) for row in connection.execute(query.order_by(fetch.c.id)).mappings()]


def of_row(row: RowMapping) -> Fetch:
    return Fetch(
        id=row["id"],
        study_instance_uid=row["study_instance_uid"],
        for_study_id=row["for_study_id"],
        peer=row["peer"],
        within_days=row["within_days"],
        state=FetchState(row["state"]),
        reason=row["reason"],
        instances=row["instances"],
        there=row["there"],
        tries=row["tries"],
        created_at=row["created_at"],
    )
