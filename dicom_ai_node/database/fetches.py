"""Studies that are asked for by C-MOVE: one row a study, the study that waits for it, and peer.

A row without a study is the question before: which priors of that patient does the peer have?
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, exists, func, insert, or_, select, update

from dicom_ai_node.database.tables import fetch, instance, study
from dicom_ai_node.study import StudyState

QUESTION = ""  # in the place of a Study Instance UID
# after the last answer to C-MOVE, in which some of the study may still come (some peers answer
# first); who sends it in this time is taken for the fetch
STRAGGLERS_S = 60.0


class FetchState(enum.StrEnum):
    """MOVED and FAILED are final."""

    PENDING = "pending"
    MOVING = "moving"
    MOVED = "moved"  # or, of a question: answered
    FAILED = "failed"


_OPEN = (FetchState.PENDING, FetchState.MOVING)


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


def next_due(connection: Connection, peer: str, *, now: float) -> Fetch | None:
    """The oldest that should be tried now."""
    query = (
        select(fetch)
        .where(
            fetch.c.peer == peer,
            fetch.c.state == FetchState.PENDING,
            fetch.c.next_try_at <= now,
        )
        .order_by(fetch.c.id)
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return _fetch(row) if row else None


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
        .where(fetch.c.state == FetchState.MOVING)
        .values(state=FetchState.PENDING, next_try_at=now)
    )
    gone = fetch.c.peer.not_in(list(peers))
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
    return [_fetch(row) for row in connection.execute(query).mappings()]


def waiting_for(connection: Connection, study_id: int) -> Sequence[Fetch]:
    """Of those, what is not finished: asked for and not come, or come and not settled."""
    unsettled = exists().where(
        study.c.study_instance_uid == fetch.c.study_instance_uid,
        study.c.state == StudyState.RECEIVING,
    )
    on_its_way = fetch.c.state.in_(_OPEN) | ((fetch.c.state == FetchState.MOVED) & unsettled)
    query = select(fetch).where(fetch.c.for_study_id == study_id, on_its_way)
    return [_fetch(row) for row in connection.execute(query.order_by(fetch.c.id)).mappings()]


def receiving(connection: Connection) -> Sequence[RowMapping]:
    """Studies that are coming, of those that were ever fetched."""
    fetched = select(fetch.c.study_instance_uid).where(fetch.c.started_at.is_not(None))
    query = select(study).where(
        study.c.state == StudyState.RECEIVING, study.c.study_instance_uid.in_(fetched)
    )
    return connection.execute(query).mappings().all()


def came_by_fetch(connection: Connection, row: RowMapping) -> bool:
    """True for a study whose first and last instance came while it was fetched.

    What somebody sends at any other time makes it a study like all others.
    """
    uid, last = row["study_instance_uid"], row["last_received_at"]
    first = connection.scalar(
        select(func.min(instance.c.received_at)).where(instance.c.study_id == row["id"])
    )
    return (
        first is not None
        and _is_fetched_at(connection, uid, first)
        and _is_fetched_at(connection, uid, last)
    )


def has_come(connection: Connection, row: RowMapping) -> bool:
    """True when every fetch of it has ended well, and all that peers say they sent is here."""
    fetched = fetch.c.study_instance_uid == row["study_instance_uid"]
    others = select(fetch.c.id).where(fetched, fetch.c.state != FetchState.MOVED).limit(1)
    expected = connection.scalar(select(func.max(fetch.c.instances)).where(fetched))
    here = connection.scalar(
        select(func.count()).select_from(instance).where(instance.c.study_id == row["id"])
    )
    return connection.scalar(others) is None and (here or 0) >= (expected or 0)


def is_idle_prior(connection: Connection, study_instance_uid: str, *, now: float) -> bool:
    """True for a study that is here only because it was fetched, and is not fetched now."""
    state = connection.scalar(
        select(study.c.state).where(study.c.study_instance_uid == study_instance_uid)
    )
    return state == StudyState.PRIOR and not _is_fetched_at(connection, study_instance_uid, now)


def _is_fetched_at(connection: Connection, study_instance_uid: str, when: float) -> bool:
    query = select(fetch.c.id).where(
        fetch.c.study_instance_uid == study_instance_uid,
        fetch.c.started_at <= when,
        or_(fetch.c.finished_at.is_(None), fetch.c.finished_at >= when - STRAGGLERS_S),
    )
    return connection.scalar(query.limit(1)) is not None


def _fetch(row: RowMapping) -> Fetch:
    return Fetch(
        id=row["id"],
        study_instance_uid=row["study_instance_uid"],
        for_study_id=row["for_study_id"],
        peer=row["peer"],
        within_days=row["within_days"],
        state=FetchState(row["state"]),
        reason=row["reason"],
        instances=row["instances"],
        tries=row["tries"],
        created_at=row["created_at"],
    )
