"""What was missed is fetched: a peer is asked after each start and every so often, in a thread.

A PACS does not send again what failed while this node was down or refused it.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dicom_ai_node.database import fetches, missed, studies
from dicom_ai_node.database.fetches import Fetch, FetchState
from dicom_ai_node.draining import is_draining
from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.intake.missed import ALL_HERE, Call, Search, keep, lacking
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.peers.recent_study import RecentSeries
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState

log = get_logger(__name__)

POLL_S = 0.5
ROOM_AGAIN_S = 10.0
# of a peer that does not answer
SILENT_FIRST_S, SILENT_MAX_S = 10.0, 300.0
# of a study that it does not send: about six hours in all
TRY_FIRST_S, TRY_MAX_S, MAX_TRIES = 30.0, 3600.0, 12
_KEPT_S = 30 * 86_400.0  # what became of a study is known for so long


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How one try ended."""

    state: FetchState
    reason: str | None = None
    instances: int = 0


class CatchUp:
    """One peer; `has_room()` says whether the node can take more than what comes by itself."""

    def __init__(
        self,
        search: Search,
        *,
        spool: Spool,
        has_room: Callable[[], bool],
        jitter: random.Random | None = None,
    ) -> None:
        self._search = search
        self._database = search.database
        self._settings = search.settings
        self._spool = spool
        self._has_room = has_room
        self._jitter = jitter or random.Random()  # noqa: S311 — for waiting, not for secrets
        self._ask_at = self._not_before = float("-inf")  # on the monotonic clock
        self._silences = 0

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; trouble with the database ends nothing."""
        while not stop.is_set():
            try:
                did = self.step(now=self._database.now(), clock=time.monotonic())
            except Exception:
                log.exception("catch_up_failed", peer=self._search.peer)
                self._not_before = time.monotonic() + SILENT_FIRST_S
                did = False
            if not did:
                stop.wait(POLL_S)

    def step(self, *, now: float, clock: float) -> bool:
        """Ask, or fetch one study, if one of them is due and the node is not drained. `clock` is
        monotonic."""
        if clock < self._not_before or is_draining(self._spool):
            return False
        try:
            if clock >= self._ask_at:
                self._ask(now)
                self._ask_at = clock + self._settings.every_s
                did = True
            else:
                did = self._fetch_next(now, clock)
        except PeerUnreachable as error:
            longest = min(SILENT_FIRST_S * 2.0 ** min(self._silences, 20), SILENT_MAX_S)
            self._not_before = clock + longest * self._jitter.uniform(0.5, 1.0)
            self._silences += 1
            log.warning("catch_up_waits", peer=self._search.peer, why=str(error))
            return False
        self._silences = 0
        return did

    def _ask(self, now: float) -> None:
        found = self._search.find(now=now)
        wanted = [each for each in found if each.call is Call.FETCH]
        with self._database.write() as connection:
            room = self._settings.most_studies - missed.waiting(connection, self._search.peer)
        taken, left = wanted[: max(room, 0)], wanted[max(room, 0) :]
        keep(self._search, taken, at=now + self._settings.wait_s, now=now)
        keep(self._search, [each for each in found if each.call is Call.COMPLETE], at=now, now=now)
        with self._database.write() as connection:
            before = now - _KEPT_S - self._settings.hours * 3600
            missed.forget(connection, before=before, now=now)
        level = log.warning if left else log.info
        level(
            "catch_up_asked",
            peer=self._search.peer,
            studies=len(found),
            to_fetch=len(taken),
            left_for_later=len(left),
        )

    def _fetch_next(self, now: float, clock: float) -> bool:
        with self._database.read() as connection:
            longest_s = max(TRY_MAX_S, self._settings.wait_s)
            due = missed.next_due(connection, self._search.peer, now=now, longest_s=longest_s)
            here = missed.here(connection, due.study_instance_uid) if due else None
        if due is None:
            return False
        if not self._has_room():
            log.warning("catch_up_waits", peer=self._search.peer, why="disk or queue are full")
            self._not_before = clock + ROOM_AGAIN_S
            return False
        if here is not None and self._search.is_coming(here, now):
            self._put_off(due, due.there, now)
            return True
        series = self._series(due, now)
        there = _sum(series)
        if there is not None and due.there is not None and there > due.there:
            self._put_off(due, there, now)  # the peer is still receiving it
            return True
        short = lacking(series, here)
        if short or (here is not None and here.state is StudyState.PRIOR):
            self._fetch(due, short, now)
        else:
            with self._database.write() as connection:
                missed.leave(
                    connection,
                    peer=due.peer,
                    study_instance_uid=due.study_instance_uid,
                    there=due.there,
                    reason=ALL_HERE if series else "no series that a route can take",
                    now=now,
                )
        return True

    def _series(self, due: Fetch, now: float) -> Sequence[RecentSeries]:
        """Where the peer does not list them, it may be of this study: the others are next."""
        try:
            return self._search.series(due.study_instance_uid)
        except PeerUnreachable as error:
            with self._database.write() as connection:
                missed.put_off(connection, due, until=now, there=due.there, reason=str(error))
            raise

    def _put_off(self, due: Fetch, there: int | None, now: float) -> None:
        until = now + self._settings.wait_s
        with self._database.write() as connection:
            missed.put_off(connection, due, until=until, there=there, reason="it is coming now")

    def _fetch(self, due: Fetch, series: Sequence[RecentSeries], now: float) -> None:
        """The boundary: whatever happens, the row has an end, or another try."""
        with self._database.write() as connection:
            if not fetches.begin(connection, due, now=now):
                return  # given up meanwhile
            studies.reopen_prior(
                connection,
                due.study_instance_uid,
                calling_ae_title=self._search.source.ae_title,
                called_ae_title=self._search.config.node.ae_title[0],
                now=now,
            )
        try:
            ended = self._move(due, series)
        except PeerRefusesUs as error:  # whatever it is asked for
            with self._database.write() as connection:
                missed.put_off(connection, due, until=now, there=due.there, reason=str(error))
            raise
        except PeerUnreachable as error:  # it had just answered: it may be this study
            ended = _Ended(state=FetchState.PENDING, reason=str(error))
        except Exception as error:
            log.exception("missed_study_not_fetched", peer=self._search.peer, fetch=due.id)
            ended = _Ended(state=FetchState.PENDING, reason=where(error))
        self._record(due, ended, now)

    def _move(self, due: Fetch, series: Sequence[RecentSeries]) -> _Ended:
        sent = failed = 0
        for each in series:
            moved = self._search.source.fetch(due.study_instance_uid, each.series_instance_uid)
            if moved.problem is not None and moved.is_of_peer:
                raise PeerRefusesUs(moved.problem)
            if moved.problem is not None and not moved.is_transient:
                return _Ended(state=FetchState.FAILED, reason=moved.problem, instances=sent)
            if moved.problem is not None:
                return _Ended(state=FetchState.PENDING, reason=moved.problem, instances=sent)
            sent, failed = sent + moved.sent, failed + moved.failed
        if failed:
            reason = f"{failed} of its instances did not come"
            return _Ended(state=FetchState.PENDING, reason=reason, instances=sent)
        return _Ended(state=FetchState.MOVED, instances=sent)

    def _record(self, due: Fetch, ended: _Ended, now: float) -> None:
        state, reason, tries = ended.state, ended.reason, due.tries + 1
        if state is FetchState.PENDING and tries >= MAX_TRIES:
            state, reason = FetchState.FAILED, f"given up after {tries} tries: {reason}"
        wait_s = min(TRY_FIRST_S * 2.0 ** min(due.tries, 20), TRY_MAX_S)
        with self._database.write() as connection:
            fetches.record(
                connection,
                due,
                state,
                reason=reason,
                instances=ended.instances,
                next_try_at=now + wait_s * self._jitter.uniform(0.5, 1.0),
                now=now,
            )
        level = log.error if state is FetchState.FAILED else log.info
        level(
            "missed_study_fetched" if state is FetchState.MOVED else "missed_study_not_fetched",
            peer=self._search.peer,
            study=pseudonym(due.study_instance_uid),
            reason=reason,
            instances=ended.instances,
        )


def _sum(series: Sequence[RecentSeries]) -> int | None:
    """None where the peer does not count."""
    counts = [each.instances for each in series if each.instances is not None]
    return sum(counts) if len(counts) == len(series) else None
