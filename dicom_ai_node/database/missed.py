"""Studies that a peer has and nobody sent: rows of `fetch` that no study waits for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from sqlalchemy import Connection, delete, func, insert, literal, select, update

from dicom_ai_node.database.fetches import OPEN, Fetch, FetchState, of_row
from dicom_ai_node.database.pauses import is_over
from dicom_ai_node.database.tables import fetch, instance, study
from dicom_ai_node.study import StudyState

_MISSED = fetch.c.for_study_id.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What of a study is here; `series` counts instances by Series Instance UID."""

    state: StudyState
    last_received_at: float
    series: Mapping[str, int]

    @property
    def instances(self) -> int:
        return sum(self.series.values())


def here(connection: Connection, study_instance_uid: str) -> Here | None:
    """None for a study of which nothing ever came."""
    known = select(study).where(study.c.study_instance_uid == study_instance_uid)
    row = connection.execute(known).mappings().one_or_none()
    if row is None:
        return None
    counted = (
        select(instance.c.series_instance_uid, func.count())
        .where(instance.c.study_id == row["id"])
        .group_by(instance.c.series_instance_uid)
    )
    return Here(
        state=StudyState(row["state"]),
        last_received_at=row["last_received_at"],
        series={row[0]: row[1] for row in connection.execute(counted)},
    )


def want(
    connection: Connection,
    *,
    peer: str,
    study_instance_uid: str,
    there: int | None,
    at: float,
    now: float,
) -> None:
    """Fetch it from `at` on; one that was fetched before, or failed, begins anew."""
    _put(
        connection,
        peer,
        study_instance_uid,
        now,
        state=FetchState.PENDING,
        there=there,
        reason=None,
        tries=0,
        next_try_at=at,
        finished_at=None,
    )


def leave(
    connection: Connection,
    *,
    peer: str,
    study_instance_uid: str,
    there: int | None,
    reason: str,
    now: float,
) -> None:
    """Nothing of it is to be fetched, as long as the peer has no more than these."""
    _put(
        connection,
        peer,
        study_instance_uid,
        now,
        state=FetchState.MOVED,
        there=there,
        reason=reason,
        finished_at=now,
    )


def _put(connection: Connection, peer: str, uid: str, now: float, **values: object) -> None:
    same = (_MISSED, fetch.c.study_instance_uid == uid, fetch.c.peer == peer)
    changed = connection.execute(update(fetch).where(*same).values(**values))
    if not changed.rowcount:
        row = {"study_instance_uid": uid, "peer": peer, "next_try_at": now, "created_at": now}
        connection.execute(insert(fetch).values(row | values))


def put_off(
    connection: Connection, due: Fetch, *, until: float, there: int | None, reason: str | None
) -> None:
    """It is looked at again, which is no try that failed."""
    connection.execute(
        update(fetch)
        .where(fetch.c.id == due.id, fetch.c.state.in_(OPEN))
        .values(
            state=FetchState.PENDING,
            next_try_at=until,
            there=there,
            reason=reason,
            tries=due.tries,
        )
    )


def hurry(connection: Connection, *, peer: str, study_instance_uid: str, now: float) -> None:
    """What waits for its turn, or for its next try, is tried now, and as often as at first."""
    connection.execute(
        update(fetch)
        .where(
            _MISSED,
            fetch.c.study_instance_uid == study_instance_uid,
            fetch.c.peer == peer,
            fetch.c.state == FetchState.PENDING,
        )
        .values(next_try_at=now, tries=0)
    )


def of_study(connection: Connection, study_instance_uid: str) -> Sequence[Fetch]:
    """One a peer at most, the oldest first."""
    query = select(fetch).where(_MISSED, fetch.c.study_instance_uid == study_instance_uid)
    return [of_row(row) for row in connection.execute(query.order_by(fetch.c.id)).mappings()]


def was_missed(connection: Connection, study_instance_uid: str) -> bool:
    """True for a study that was fetched, or is, because nobody had sent it."""
    query = select(fetch.c.id).where(
        _MISSED,
        fetch.c.study_instance_uid == study_instance_uid,
        fetch.c.started_at.is_not(None),
    )
    return connection.scalar(query.limit(1)) is not None


def next_due(
    connection: Connection, peer: str, *, now: float, longest_s: float = inf
) -> Fetch | None:
    """That which waits longest; of one answer, the one that was put first. `longest_s`:
    see `pauses`."""
    query = (
        select(fetch)
        .where(
            _MISSED,
            fetch.c.peer == peer,
            fetch.c.state == FetchState.PENDING,
            is_over(fetch.c.next_try_at, now=now, longest_s=longest_s),
        )
        .order_by(fetch.c.next_try_at, fetch.c.id)
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return of_row(row) if row else None


def waiting(connection: Connection, peer: str) -> int:
    """How many are still to be fetched."""
    query = select(func.count()).where(_MISSED, fetch.c.peer == peer, fetch.c.state.in_(OPEN))
    return int(connection.execute(query.select_from(fetch)).scalar_one())


def counts(connection: Connection) -> Mapping[str, Mapping[FetchState, int]]:
    """By peer and state, of those that were really to be fetched: for the status."""
    query = (
        select(fetch.c.peer, fetch.c.state, func.count())
        .where(_MISSED, fetch.c.started_at.is_not(None) | fetch.c.state.in_(OPEN))
        .group_by(fetch.c.peer, fetch.c.state)
    )
    found: dict[str, Counter[FetchState]] = {}
    for peer, state, number in connection.execute(query):
        found.setdefault(peer, Counter())[FetchState(state)] += number
    return found


def resume(connection: Connection, peers: Iterable[str], *, now: float) -> None:
    """At start: what a killed process was fetching is looked at again; what a peer is asked for no
    longer ends."""
    connection.execute(
        update(fetch)
        .where(_MISSED, fetch.c.state == FetchState.MOVING)
        .values(state=FetchState.PENDING, next_try_at=now)
    )
    reason = "the configuration asks this peer for nothing that was missed any more"
    connection.execute(
        update(fetch)
        .where(_MISSED, fetch.c.state == FetchState.PENDING, fetch.c.peer.not_in(list(peers)))
        .values(state=FetchState.FAILED, reason=reason, finished_at=now)
    )


def forget(connection: Connection, *, before: float, now: float) -> None:
    """Rows that have ended, of studies that nobody will ask for again; those that wait since then
    end."""
    connection.execute(
        delete(fetch).where(_MISSED, fetch.c.state.not_in(OPEN), fetch.c.created_at < before)
    )
    why = literal("given up after a month: ") + func.coalesce(fetch.c.reason, "its turn never came")
    connection.execute(
        update(fetch)
        .where(_MISSED, fetch.c.state == FetchState.PENDING, fetch.c.created_at < before)
        .values(state=FetchState.FAILED, reason=why, finished_at=now)
    )
