"""Storage Commitment Push Model as its SCP (PS3.4 Annex J).

A request is a row before it is acknowledged. One thread looks at the instances, and the answer is
a report: on the association of the request as long as that is open, else on one of our own. What
is pending is in the table, so neither a crash nor a peer that is down loses a request.
"""

import enum
import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from dicom_ai_node.config.peers import AnyPeer, DimsePeer
from dicom_ai_node.database import commitments
from dicom_ai_node.database.commitments import (
    Commitment,
    CommitmentState,
    NewCommitment,
    Reference,
    Stored,
)
from dicom_ai_node.database.engine import BUSY_TIMEOUT_S, Database
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.header import data_of
from dicom_ai_node.log import get_logger
from dicom_ai_node.peers import commitment as peers
from dicom_ai_node.peers.commitment import Report, is_taken
from dicom_ai_node.receive.answer import ActionStatus
from dicom_ai_node.receive.attributes import Unacceptable
from dicom_ai_node.receive.ledger import GROUP_S, Ledger
from dicom_ai_node.receive.outbox import ANSWER_S, Outbox
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

MAX_PENDING = 1000  # requests of one peer

BACKOFF_FIRST_S, BACKOFF_MAX_S = 5.0, 300.0
GIVE_UP_S = 24 * 3600.0
_LEASE_S = 120.0  # renewed while files are read
_RENEW_S = 20.0
_POLL_S = 5.0  # for what another receiving process has left
_KEEP_S = 30 * 86_400.0  # rows that are through
_STOP_S = 15.0
_CHUNK = 1 << 20


class FailureReason(enum.IntEnum):
    """Why an instance is not committed (PS3.3 C.14.1.1)."""

    NONE = 0
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119


class Commitments:
    """Takes requests, judges and reports them; shared by the associations of one process."""

    def __init__(
        self,
        spool: Spool,
        database: Database,
        ledger: Ledger,
        known: Iterable[AnyPeer],
        *,
        is_alone: bool,
    ) -> None:
        """`known` can be called when the association of a request has ended; `is_alone`: no other
        process answers requests from this database."""
        self._spool = spool
        self._database = database
        self._ledger = ledger
        self._is_alone = is_alone
        self._peers = _by_title(known)
        self._fresh: deque[tuple[Commitment, Outbox]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="commitments", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def reload(self, known: Iterable[AnyPeer]) -> None:
        """Whom it calls from now on."""
        self._peers = _by_title(known)

    def stop(self) -> None:
        """What is pending stays so, for the next process."""
        self._wake(stopping=True)
        self._thread.join(timeout=_STOP_S)

    def take(self, new: NewCommitment, outbox: Outbox) -> None:
        """Keep a request durably; raises Unacceptable."""
        now = self._database.now()
        try:
            with self._database.write() as connection:
                if commitments.count_pending(connection, new.calling_ae_title) >= MAX_PENDING:
                    raise Unacceptable(
                        ActionStatus.RESOURCE_LIMITATION, "too many requests are pending"
                    )
                taken = commitments.add(connection, new, next_try_at=now + _LEASE_S, now=now)
        except SQLAlchemyError:
            log.exception("commitment_not_taken")
            raise Unacceptable(
                ActionStatus.PROCESSING_FAILURE, "the database cannot take it now"
            ) from None
        if taken is None:
            raise Unacceptable(
                ActionStatus.DUPLICATE_TRANSACTION_UID, "this transaction is pending already"
            )
        outbox.expect()
        with self._changed:
            self._fresh.append((taken, outbox))
            self._changed.notify_all()

    def answered(self, commitment_id: int, status: int) -> None:
        """What a peer said to a report on the association of its request."""
        if is_taken(status):
            self._ended(commitment_id, CommitmentState.REPORTED)
        else:
            log.warning("commitment_report_refused", status=f"{status:04X}")
            self._again([commitment_id], BACKOFF_FIRST_S)
            self._wake()

    def returned(self, commitment_ids: Sequence[int]) -> None:
        """An association ended before these were reported."""
        if commitment_ids:
            self._again(commitment_ids, 0)
            self._wake()

    def _ended(self, commitment_id: int, state: CommitmentState) -> None:
        try:
            with self._database.write() as connection:
                commitments.end(connection, commitment_id, state)
        except SQLAlchemyError:  # the peer is told again: better than never
            log.exception("commitment_not_recorded")

    def _again(self, commitment_ids: Sequence[int], in_s: float) -> None:
        try:
            with self._database.write() as connection:
                until = self._database.now() + in_s
                commitments.put_off(connection, commitment_ids, until=until)
        except SQLAlchemyError:  # the lease ends by itself
            log.exception("commitment_not_recorded")

    def _wake(self, *, stopping: bool = False) -> None:
        with self._changed:
            self._stopping = self._stopping or stopping
            self._changed.notify_all()

    def _run(self) -> None:
        """The boundary: trouble with one request, or with the database, ends no thread."""
        is_first = True
        while not self._stopping:
            try:
                if is_first:
                    self._recover()
                is_first = False
                self._serve_all()
                wait_s = self._wait_s()
            except Exception:
                log.exception("commitments_failed")
                wait_s = _POLL_S
            with self._changed:
                if not (self._stopping or self._fresh):
                    self._changed.wait(timeout=wait_s)

    def _recover(self) -> None:
        now = self._database.now()
        with self._database.write() as connection:
            commitments.forget(connection, before=now - _KEEP_S)
            if self._is_alone and (number := commitments.restart(connection, now=now)):
                log.info("commitments_pending", number=number)

    def _wait_s(self) -> float:
        with self._database.read() as connection:
            due = commitments.next_due(connection)
        until = _POLL_S if due is None else due - self._database.now()
        return min(max(until, 0.05), _POLL_S)

    def _serve_all(self) -> None:
        while not self._stopping:
            if self._fresh:
                self._serve(*self._fresh.popleft())
                continue
            with self._database.read() as connection:  # a write would wait for the ledger's
                due = commitments.next_due(connection)
            if due is None or due > self._database.now():
                return
            with self._database.write() as connection:
                now = self._database.now()
                current = commitments.claim(connection, lease_s=_LEASE_S, now=now)
            if current is not None:
                self._serve(current, None)

    def _serve(self, current: Commitment, outbox: Outbox | None) -> None:
        """One try: judge it, unless that is done, and report it."""
        current = self._judged(current)
        if current.reasons is None:
            return
        report = Report(
            transaction_uid=current.transaction_uid,
            references=current.references,
            reasons=current.reasons,
        )
        if outbox is not None:
            self._again([current.id], ANSWER_S)
            if outbox.put(current.id, report):
                return
        self._call(current, report)

    def _call(self, current: Commitment, report: Report) -> None:
        """Report on an association of our own."""
        peer = self._peers.get(current.calling_ae_title)
        if peer is None:
            self._give_up(current, "none of peers: has its AE title")
            return
        try:
            peers.send(peer, report, calling_ae_title=current.called_ae_title)
        except PeerUnreachable as error:
            self._failed(current, str(error))
        else:
            self._ended(current.id, CommitmentState.REPORTED)

    def _failed(self, current: Commitment, why: str) -> None:
        now = self._database.now()
        if now - current.created_at > GIVE_UP_S:
            self._give_up(current, why)
            return
        until = now + min(BACKOFF_FIRST_S * 2 ** (current.tries - 1), BACKOFF_MAX_S)
        log.warning("commitment_not_reported", calling_ae=current.calling_ae_title, why=why)
        with self._database.write() as connection:
            commitments.put_off(connection, [current.id], until=until)
            commitments.put_off_peer(connection, current.calling_ae_title, until=until)

    def _give_up(self, current: Commitment, why: str) -> None:
        log.error("commitment_failed", calling_ae=current.calling_ae_title, why=why)
        self._ended(current.id, CommitmentState.FAILED)

    def _judged(self, current: Commitment) -> Commitment:
        """With its reasons; without, where that must wait."""
        if current.reasons is not None:
            return current
        if not self._ledger.settle(BUSY_TIMEOUT_S):
            self._again([current.id], BACKOFF_FIRST_S)
            return current
        if not self._is_alone:  # what another receiving process acknowledged is on its way
            time.sleep(4 * GROUP_S)
        with self._database.read() as connection:
            uids = [reference.sop_instance_uid for reference in current.references]
            rows = commitments.stored(connection, uids)
        reasons = []
        renew_at = time.monotonic() + _RENEW_S
        for reference in current.references:
            if self._stopping:
                return current
            reasons.append(self._reason(reference, rows.get(reference.sop_instance_uid)))
            if time.monotonic() > renew_at:
                renew_at = time.monotonic() + _RENEW_S
                self._again([current.id], _LEASE_S)
        failed = sum(map(bool, reasons))
        log.info("commitment_judged", instances=len(reasons), failed=failed)
        with self._database.write() as connection:
            return commitments.judged(connection, current, reasons)

    def _reason(self, reference: Reference, row: Stored | None) -> FailureReason:
        """Whether an instance is here, byte for byte as it was acknowledged."""
        if row is None:
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        if row.sop_class_uid != reference.sop_class_uid:
            return FailureReason.CLASS_INSTANCE_CONFLICT
        try:
            is_whole = _sha256(self._spool.instance_path(row.file)) == row.sha256
        except FileNotFoundError:
            log.exception("stored_instance_lost", file=row.file)
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        except OSError:
            log.exception("stored_instance_not_read", file=row.file)
            return FailureReason.PROCESSING_FAILURE
        if not is_whole:
            log.error("stored_instance_damaged", file=row.file)
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        return FailureReason.NONE


def _by_title(known: Iterable[AnyPeer]) -> dict[str, DimsePeer]:
    """Of several with one title, the first."""
    peers: dict[str, DimsePeer] = {}
    for peer in known:
        if isinstance(peer, DimsePeer):
            peers.setdefault(peer.ae_title, peer)
    return peers


def _sha256(path: Path) -> str:
    """Of the data set of a file of ours, whose meta group is in its first piece."""
    with path.open("rb", buffering=0) as file:
        digest = hashlib.sha256(data_of(file.read(_CHUNK)))
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
