"""Rows of instances that are on disk, committed in groups by a thread of its own.

Before its row, a file speaks for itself: whatever is acknowledged, a rescan rebuilds the row. So
the database does not stand in the way of the stream; it follows within a quarter of a second, and
before the release of an association is confirmed.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dicom_ai_node.database import arrivals, lost, open_studies, tallies
from dicom_ai_node.database.arrivals import Arrival, Kept, ReceivedInstance
from dicom_ai_node.database.engine import BUSY_TIMEOUT_S, Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.seen import Seen
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

GROUP_S = 0.25  # between two commits while instances stream in
_COUNTED_S = 2.0  # what is only to be counted waits so long for a row to go with
_RETRY_S = 1.0
_MAX_PENDING = 20_000  # rows, when the database cannot be written
_MAX_STUDIES = 1000  # whose instances are counted without asking the table

_Found = TypeVar("_Found")


class DatabaseDown(Exception):
    """Rows can neither be read nor written for now."""


@dataclass(frozen=True, slots=True)
class _Pending:
    kept: Kept
    at: float  # on the monotonic clock


class Ledger:
    """What is known of instances: rows in the table, and rows on their way there."""

    def __init__(
        self,
        database: Database,
        spool: Spool,
        *,
        study_instances: int,
        is_alone: bool,
        seen: Seen | None = None,
    ) -> None:
        """`is_alone`: no other process of the receive role adds instances to this database.

        What an import adds meanwhile, and another receiver, is noticed when rows are committed.
        `seen` has what the caller found in the table, of all that will be handed in.
        """
        self.study_instances = study_instances
        self._is_alone = is_alone
        self._seen = seen
        self._database = database
        self._spool = spool
        self._pending: dict[str, _Pending] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._handed_in = self._committed = 0
        self._waited_for = 0  # commit up to here without waiting for more
        self._stopping = False
        self._down_until = 0.0
        self._counts: dict[str, int] = {}
        self._bringing: Counter[str] = Counter()  # associations of this process, by study
        self._ended: dict[str, float] = {}  # studies that no association brings any more: since
        self._ends = 0  # of associations, that are yet to be recorded
        self._answered: Counter[str] = Counter()  # what gets no row, by the books' words for it
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """After the rescan: what that adopts must have been seen."""
        if self._is_alone:
            self._seen = Seen.in_table(self._database)
        self._thread.start()

    def stop(self) -> None:
        """Commit what is pending; what cannot be committed, the next rescan finds."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:  # it was started
            self._thread.join(timeout=BUSY_TIMEOUT_S + 5)

    def is_down(self) -> bool:
        """True while the database does not take rows: an instance must not be acknowledged."""
        with self._lock:
            oldest = next(iter(self._pending.values()), None)
            late = oldest is not None and time.monotonic() - oldest.at > BUSY_TIMEOUT_S
            return late or len(self._pending) >= _MAX_PENDING

    def hand_in(self, received: ReceivedInstance, file: str) -> Arrival:
        """Judge a durable file; when it is NEW, its row will follow. Raises DatabaseDown."""
        uid = received.sop_instance_uid
        with self._changed:
            found = self._arrival(received)
            if found is not Arrival.NEW:
                return found
            if self._is_full(received.study_instance_uid):
                return Arrival.TOO_MANY
            self._counts[received.study_instance_uid] += 1
            now = self._database.now()
            kept = Kept(received=received, file=file, received_at=now)
            self._pending[uid] = _Pending(kept, time.monotonic())
            if self._seen is not None:
                self._seen.add(uid)
            self._handed_in += 1
            if len(self._pending) == 1:  # woken for each, the thread would want the lock each time
                self._changed.notify_all()
        return found

    def count(self, word: str) -> None:
        """One more that was answered and gets no row: the next commit puts it into the books.

        What is counted when the process is killed is lost: the peer has its answer all the same.
        """
        with self._changed:
            self._answered[word] += 1
            if self._answered.total() == 1:
                self._changed.notify_all()

    def _arrival(self, received: ReceivedInstance) -> Arrival:
        pending = self._pending.get(received.sop_instance_uid)
        if pending is not None:
            return arrivals.compare(received, pending.kept.received)
        if self._seen is not None and received.sop_instance_uid not in self._seen:
            return Arrival.NEW
        return self._read(lambda connection: arrivals.arrival(connection, received))

    def _is_full(self, study_instance_uid: str) -> bool:
        if self._counted(study_instance_uid) < self.study_instances:
            return False
        del self._counts[study_instance_uid]  # it may have been purged since: count it again
        return self._counted(study_instance_uid) >= self.study_instances

    def _counted(self, study_instance_uid: str) -> int:
        """Instances of a study, those on their way included."""
        if study_instance_uid not in self._counts:
            if len(self._counts) > _MAX_STUDIES:
                self._counts.clear()
            waiting = sum(
                each.kept.received.study_instance_uid == study_instance_uid
                for each in self._pending.values()
            )
            self._counts[study_instance_uid] = waiting + self._read(
                lambda connection: arrivals.count_of(connection, study_instance_uid)
            )
        return self._counts[study_instance_uid]

    def begin_study(self, study_instance_uid: str) -> None:
        """An association has brought something for it, and may bring more."""
        with self._lock:
            self._bringing[study_instance_uid] += 1
            self._ended.pop(study_instance_uid, None)

    def end_studies(self, study_instance_uids: set[str]) -> None:
        """That association has ended, however it did; `settle()` waits until this is recorded."""
        now = self._database.now()
        with self._changed:
            for uid in study_instance_uids:
                self._bringing[uid] -= 1
                if self._bringing[uid] <= 0:
                    del self._bringing[uid]
                    self._ended[uid] = now
                    self._ends += 1
                    self._handed_in += 1
            self._changed.notify_all()

    def file_of(self, sop_instance_uid: str) -> str:
        """Where a known instance lies."""
        with self._lock:
            pending = self._pending.get(sop_instance_uid)
            if pending is not None:
                return pending.kept.file
            return self._read(lambda connection: arrivals.file_of(connection, sop_instance_uid))

    def _read(self, query: Callable[[Connection], _Found]) -> _Found:
        if time.monotonic() < self._down_until:
            raise DatabaseDown  # each of many associations would wait as long again
        try:
            with self._database.read() as connection:
                return query(connection)
        except DBAPIError:
            self._down_until = time.monotonic() + _RETRY_S
            log.exception("database_not_read")
            raise DatabaseDown from None

    def settle(self, timeout_s: float) -> bool:
        """Wait until every row and every end handed in so far is committed."""
        with self._changed:
            goal = self._handed_in
            self._waited_for = max(self._waited_for, goal)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._committed >= goal, timeout=timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_rows() or self._answered)
                self._changed.wait_for(self._has_rows, timeout=_COUNTED_S)
                batch = [each.kept for each in self._pending.values()]
                ended, ends = dict(self._ended), self._ends
                answered = Counter(self._answered)
                stopping = self._stopping
            if not batch and not ends and not answered:
                return
            if not self._commit(batch, ended, ends, answered) and stopping:
                return
            self._pause()

    def _has_rows(self) -> bool:
        return bool(self._pending or self._ends or self._stopping)

    def _pause(self) -> None:
        """Let a group gather, unless somebody waits for it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._waited_for > self._committed, timeout=GROUP_S
            )

    def _commit(
        self,
        batch: Sequence[Kept],
        ended: Mapping[str, float],
        ends: int,
        answered: Counter[str],
    ) -> bool:
        try:
            with self._database.write() as connection:
                found = arrivals.add_all(connection, batch)
                for uid, at in ended.items():
                    open_studies.association_ended(connection, uid, at=at)
                tallies.add(connection, tallies.RECEPTION, answered)
                reached(Step.ROWS_WRITTEN)
        except SQLAlchemyError:  # locked, full, gone: what is on disk waits, and is tried again
            log.exception("rows_not_committed", pending=len(batch))
            time.sleep(_RETRY_S)
            return False
        reached(Step.ROWS_COMMITTED)
        for kept, arrival in zip(batch, found, strict=True):
            if arrival is not Arrival.NEW:
                self._came_meanwhile(kept, arrival)
        with self._changed:
            for kept in batch:
                del self._pending[kept.received.sop_instance_uid]
            for uid, at in ended.items():
                if self._ended.get(uid) == at:
                    del self._ended[uid]
            self._ends -= ends
            self._answered -= answered
            self._committed += len(batch) + ends
            self._changed.notify_all()
        return True

    def _came_meanwhile(self, kept: Kept, arrival: Arrival) -> None:
        """Another receiving process, or an import, was first with this UID."""
        try:
            if arrival is Arrival.CONFLICT:
                log.warning("instance_conflict", calling_ae=kept.received.calling_ae_title)
                self._spool.set_aside(kept.file, f"{kept.received.sha256}.dcm")
            elif not self._replaces_lost(kept):
                self._spool.instance_path(kept.file).unlink(missing_ok=True)
        except (OSError, SQLAlchemyError):  # a file without a row: the next rescan does the same
            log.exception("instance_not_moved", file=kept.file)

    def _replaces_lost(self, kept: Kept) -> bool:
        """It was acknowledged: if the file of the first is gone, this one takes its place (P1)."""
        uid = kept.received.sop_instance_uid
        with self._database.read() as connection:
            before = arrivals.file_of(connection, uid)
        if self._spool.instance_path(before).is_file():
            return False
        with self._database.write() as connection:
            lost.replace_file(connection, uid, kept.file, now=kept.received_at)
        log.warning("lost_instance_restored", calling_ae=kept.received.calling_ae_title)
        return True
