"""Part 10 files, from a backlog or a CD, down the road of C-STORE: with its promises (P1 to P4).

Whatever runs on the same spool goes on. What an import needs for itself, the places and the files
whose rows are on their way, exists only while it holds a lock, which a rescan takes as well.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic

from sqlalchemy.exc import DBAPIError

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import arrivals, tallies
from dicom_ai_node.database.engine import BUSY_TIMEOUT_S, Database
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.answer import SUCCESS, Answer, Status, in_books
from dicom_ai_node.receive.backlog import Backlog
from dicom_ai_node.receive.import_check import UNREADABLE, Check, Fate, Outcome
from dicom_ai_node.receive.imported import Imported, Said
from dicom_ai_node.receive.part10_file import Part10File, pieces_of
from dicom_ai_node.receive.rescan import IMPORT_LOCK
from dicom_ai_node.receive.seen import Seen
from dicom_ai_node.receive.sent_again import sent_again
from dicom_ai_node.receive.space import Space
from dicom_ai_node.receive.store import DATABASE_DOWN, TOO_LARGE, Message, Refused, Store, TooLarge
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

_AT_ONCE = 100  # files under one lock
_LOCK_S = 2.0  # and no further file after so long
_PAUSE_S = 0.15  # in which a role that waits for the lock looks again
_RESCAN_S = 3600.0  # of a large spool

_LOW = Answer(Status.OUT_OF_RESOURCES, "the disk is nearly full, or too many studies wait already")
_CONFLICT = Answer(Status.DUPLICATE_SOP_INSTANCE, "this UID was stored with other contents")


@dataclass(slots=True)
class _Batch:
    """Some files: those that are judged, and those whose row is on its way."""

    outcomes: list[Outcome] = field(default_factory=list)
    stored: list[tuple[Part10File, str, str]] = field(default_factory=list)  # file, SHA-256


class Importer:
    """Takes files in the name of `calling_ae_title`."""

    def __init__(
        self,
        config: Config,
        spool: Spool,
        database: Database,
        *,
        calling_ae_title: str,
        said: Said,
    ) -> None:
        """`said` is what the audit trail says of each study."""
        self._config = config
        self._spool = spool
        self._database = database
        self._calling_ae_title = calling_ae_title
        self._space = Space((spool.root, database.path.parent), config.limits)
        self._backlog = Backlog(database, limit=config.limits.waiting_studies)
        self._check = Check(config)
        self._imported = Imported(spool, said)

    def run(self, paths: Iterator[Path], stop: threading.Event) -> Iterator[Outcome]:
        """One outcome a file; what is stored was durable, with its row, before it was counted."""
        try:
            yield from self._run(paths, stop)
        finally:
            self._imported.record()

    def _run(self, paths: Iterator[Path], stop: threading.Event) -> Iterator[Outcome]:
        while not stop.is_set() and (some := list(islice(paths, _AT_ONCE))):
            began = monotonic()
            fresh: list[Part10File] = []
            yield from self._judge(some, fresh)
            while fresh and not stop.is_set():
                stop.wait(max(0.0, _PAUSE_S - (monotonic() - began)))
                yield from self._store_some(fresh)
                began = monotonic()

    def _judge(self, paths: Sequence[Path], fresh: list[Part10File]) -> Iterator[Outcome]:
        """What can be said without a lock; the rest is added to `fresh`."""
        found: list[Part10File] = []
        judged: list[Outcome] = []
        for path in paths:
            looked = self._check.look_at(path)
            if isinstance(looked, Outcome):
                judged.append(looked)
            else:
                found.append(looked)
        known = self._known(found)
        again = [each for each in found if self._is_known(each, known)]
        before = (known[each.sop_instance_uid][0] for each in again)
        answer = self._say_known(each.study_instance_uid for each in before)
        fate = Fate.KNOWN if answer is SUCCESS else Fate.REFUSED
        judged += [Outcome(path=each.path, fate=fate, answer=answer) for each in again]
        self._count(judged)
        yield from judged
        fresh.extend(each for each in found if each not in again)

    def _count(self, judged: Sequence[Outcome]) -> None:
        """What needs no row is in the books all the same."""
        counted = Counter(
            in_books(each.answer) for each in judged if each.fate in (Fate.KNOWN, Fate.REFUSED)
        )
        if not counted:
            return
        try:
            with self._database.write() as connection:
                tallies.add(connection, tallies.RECEPTION, counted)
        except DBAPIError:  # the files are where they were, and nothing was promised of them
            log.exception("database_not_written")

    def _say_known(self, study_instance_uids: Iterable[str]) -> Answer:
        try:
            sent_again(
                self._database,
                set(study_instance_uids),
                calling_ae_title=self._calling_ae_title,
                called_ae_title=self._config.node.ae_title[0],
            )
        except DBAPIError:
            log.exception("database_not_written")
            return DATABASE_DOWN
        return SUCCESS

    def _known(self, found: Sequence[Part10File]) -> Mapping[str, tuple[arrivals.Stored, str]]:
        """What the table has of these; nothing, while it cannot be read: storing says so."""
        uids = [each.sop_instance_uid for each in found]
        try:
            with self._database.read() as connection:
                return arrivals.known_of(connection, uids)
        except DBAPIError:
            log.exception("database_not_read")
            return {}

    def _is_known(
        self, found: Part10File, known: Mapping[str, tuple[arrivals.Stored, str]]
    ) -> bool:
        """The same bytes are in the spool: nothing has to be written to say so."""
        if found.sop_instance_uid not in known:
            return False
        before, file = known[found.sop_instance_uid]
        if not self._spool.instance_path(file).is_file():
            return False  # it is lost, and comes again
        digest = hashlib.sha256()
        try:
            with pieces_of(found) as pieces:
                for piece in pieces:
                    digest.update(piece)
        except OSError:
            return False  # which is found again, and said
        return digest.hexdigest() == before.sha256

    def _store_some(self, fresh: list[Part10File]) -> list[Outcome]:
        """As many as one lock is held for; they are taken from the list."""
        with self._spool.lock(IMPORT_LOCK, wait_s=_RESCAN_S):
            until = monotonic() + _LOCK_S
            batch = _Batch()
            # asked once for all of them; who adds one from now on is noticed with its row
            seen = Seen(self._known(fresh))
            store = Store(
                self._spool,
                self._database,
                self._config.limits,
                self._space,
                is_alone=False,
                seen=seen,
            )
            store.start()
            try:
                self._store_one(store, fresh.pop(0), batch)
                while fresh and monotonic() < until:
                    self._store_one(store, fresh.pop(0), batch)
                settled = store.ledger.settle(BUSY_TIMEOUT_S)
            finally:
                store.stop()
            return [*batch.outcomes, *self._settled(batch, settled=settled)]

    def _store_one(self, store: Store, found: Part10File, batch: _Batch) -> None:
        answer = self._send(store, found, batch)
        if answer is not None:
            fate = Fate.KNOWN if answer is SUCCESS else Fate.REFUSED
            if fate is Fate.REFUSED:
                store.ledger.count(in_books(answer))
            batch.outcomes.append(Outcome(path=found.path, fate=fate, answer=answer))

    def _send(self, store: Store, found: Part10File, batch: _Batch) -> Answer | None:
        """As an association would: the answer, or None for what is to be confirmed by its row."""
        if self._space.is_low() or self._backlog.is_full():
            return _LOW
        reception = store.begin(self._message(found))
        if isinstance(reception, Refused):
            return reception.finish()
        try:
            with pieces_of(found) as pieces:
                for piece in pieces:
                    reception.feed(piece)
        except TooLarge:  # it has grown
            return TOO_LARGE
        except OSError:  # of the file: those of the spool are answered by the reception
            return UNREADABLE
        else:
            answer = reception.finish()
            if reception.kept is None:
                return answer
            received, file = reception.kept
            batch.stored.append((found, file, received.sha256))
            return None
        finally:
            reception.drop()

    def _message(self, found: Part10File) -> Message:
        return Message(
            sop_class_uid=found.sop_class_uid,
            sop_instance_uid=found.sop_instance_uid,
            context_sop_class_uid=found.sop_class_uid,
            transfer_syntax_uid=found.transfer_syntax_uid,
            calling_ae_title=self._calling_ae_title,
            called_ae_title=self._config.node.ae_title[0],
        )

    def _settled(self, batch: _Batch, *, settled: bool) -> Iterator[Outcome]:
        """A receiver may have been first with the same UID: the row says whose file it is."""
        known = self._known([found for found, _, _ in batch.stored]) if settled else {}
        for found, file, sha256 in batch.stored:
            row = known.get(found.sop_instance_uid)
            if row is None:  # durable all the same: a rescan makes the row
                yield Outcome(path=found.path, fate=Fate.REFUSED, answer=DATABASE_DOWN)
            elif row[1] == file:
                self._imported.add(row[0].study_instance_uid, found.sop_class_uid, file)
                yield Outcome(path=found.path, fate=Fate.STORED)
            elif row[0].sha256 == sha256:
                yield Outcome(path=found.path, fate=Fate.KNOWN)
            else:
                yield Outcome(path=found.path, fate=Fate.REFUSED, answer=_CONFLICT)
