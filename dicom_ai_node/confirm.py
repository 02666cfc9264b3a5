"""Whether each peer still has what it has taken: storage commitment, asked for until it answers."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from uuid import uuid4

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_ai_node.committed import say, take_report
from dicom_ai_node.config.peers import AnyPeer, CommitmentSettings, DimsePeer
from dicom_ai_node.config.settings import DeliverySettings
from dicom_ai_node.database import commitment_requests, uncommitted
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.uncommitted import Wanted
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.log import get_logger
from dicom_ai_node.peers.commitment import Report
from dicom_ai_node.peers.commitment_scu import ask
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

POLL_S = 0.5
STAY_S = 10.0  # on the association of a request, for a report that may come on it
BACKOFF_FIRST_S = 2.0
_MOST_DOUBLINGS = 20
_DAY_S = 86_400


def asked_peers(peers: Mapping[str, AnyPeer]) -> Mapping[str, DimsePeer]:
    """Those that are to commit to what they were sent."""
    return {
        name: peer
        for name, peer in peers.items()
        if isinstance(peer, DimsePeer) and peer.commitment is not None
    }


def forget_others(database: Database, asked: Collection[str]) -> None:
    """At a start: who is no longer asked, by the configuration, is no longer waited for."""
    with database.write() as connection:
        number = uncommitted.no_longer_asked(connection, asked, now=database.now())
    if number:
        log.warning("commitment_no_longer_asked", objects=number)


class Confirmation:
    """What one peer has stored and not committed to; a thread of its own asks for it."""

    def __init__(
        self,
        *,
        name: str,
        peer: DimsePeer,
        calling_ae_title: str,
        spool: Spool,
        database: Database,
        settings: DeliverySettings,
        stay_s: float = STAY_S,
    ) -> None:
        self.name = name
        self._peer = peer
        self._answer_s = (peer.commitment or CommitmentSettings()).answer_s
        self._calling_ae_title = calling_ae_title
        self._spool = spool
        self._database = database
        self._settings = settings
        self._stay_s = stay_s
        self._stop = threading.Event()
        self._failures = 0
        self._not_before = 0.0
        self._said = ""  # why it could not be asked, of which there is one alarm

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; the deliver boundary: trouble with the database ends no thread."""
        self._stop = stop
        while not stop.is_set():
            try:
                number = self.ask_due(now=self._database.now())
            except Exception:
                log.exception("confirmation_failed", peer=self.name)
                number = 0
            if not number:
                stop.wait(POLL_S)

    def ask_due(self, *, now: float) -> int:
        """One request at most, and what has waited too long; how many objects were asked for."""
        longest_s = self._settings.backoff_max_s
        before = now - self._settings.max_age_days * _DAY_S
        with self._database.read() as connection:
            if not commitment_requests.due(
                connection, self.name, now=now, before=before, longest_s=longest_s
            ):
                return 0
        with self._database.write() as connection:
            given_up = uncommitted.give_up(connection, self.name, before=before, now=now)
            late = commitment_requests.expire(connection, self.name, now=now)
        say(given_up)
        if late:
            log.warning("commitment_not_reported", peer=self.name, objects=late)
        is_left_alone = now < self._not_before <= now + longest_s  # not by a clock set back
        return 0 if is_left_alone else self._ask(now)

    def _ask(self, now: float) -> int:
        """The request is in the table before the peer has it: a report may come at once."""
        uid = _transaction_uid()
        with self._database.write() as connection:
            request_id, found = commitment_requests.ask(
                connection,
                self.name,
                uid,
                answer_s=self._answer_s,
                now=now,
                longest_s=self._settings.backoff_max_s,
            )
        if not found:
            return 0
        reached(Step.COMMITMENT_NOTED)
        backoff_s = min(BACKOFF_FIRST_S * 2.0**self._failures, self._settings.backoff_max_s)
        self._failures = min(self._failures + 1, _MOST_DOUBLINGS)
        self._not_before = now + backoff_s
        try:
            ask(
                self._peer,
                uid,
                [(self._sop_class(each), each.sop_instance_uid) for each in found],
                calling_ae_title=self._calling_ae_title,
                take=self._take,
                is_over=self._is_over(request_id),
            )
        except PeerUnreachable as error:
            self._complain(str(error))
            with self._database.write() as connection:
                commitment_requests.abandon(connection, request_id, until=self._not_before, now=now)
            return 0
        self._failures, self._not_before, self._said = 0, 0.0, ""
        with self._database.write() as connection:
            commitment_requests.asked(connection, request_id)
        reached(Step.COMMITMENT_ASKED)
        log.info("commitment_asked", peer=self.name, objects=len(found))
        return len(found)

    def _take(self, report: Report) -> bool:
        return take_report(
            self._database, [self.name], report, backoff_max_s=self._settings.backoff_max_s
        )

    def _is_over(self, request_id: int) -> Callable[[], bool]:
        """A report on another association may have been recorded by the process that receives."""
        until = time.monotonic() + self._stay_s

        def is_over() -> bool:
            if self._stop.is_set() or time.monotonic() > until:
                return True
            with self._database.read() as connection:
                return commitment_requests.is_answered(connection, request_id)

        return is_over

    def _complain(self, why: str) -> None:
        """One alarm, until it is another reason or it was asked after all."""
        level = log.info if why == self._said else log.error
        self._said = why
        level("commitment_not_asked", peer=self.name, reason=why)

    def _sop_class(self, wanted: Wanted) -> str:
        """Of a row of before there was one in it, from the file; "" where that is gone."""
        if wanted.sop_class_uid:
            return wanted.sop_class_uid
        try:
            meta = read_file_meta_info(self._spool.outbox_path(wanted.job_key) / wanted.file)
            return str(meta.MediaStorageSOPClassUID)
        except (OSError, EOFError, InvalidDicomError, AttributeError):
            return ""


def _transaction_uid() -> str:
    """Random, under 2.25 (PS3.5 B.2): no two requests have one."""
    return f"2.25.{uuid4().int}"
