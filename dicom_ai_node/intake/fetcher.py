"""From a peer to here: priors are found by C-FIND and asked for by C-MOVE, a thread for each peer.

They come by C-STORE like all else, to the node's own port.
"""

import random
import threading
from dataclasses import dataclass, field

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.database import arrivals, fetches, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.erased import is_erased
from dicom_ai_node.database.fetches import Fetch, FetchState
from dicom_ai_node.draining import is_draining
from dicom_ai_node.errors import InputError, PeerUnreachable
from dicom_ai_node.intake.priors import examined, worth_fetching
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.peers.find import PriorStudy, find_priors
from dicom_ai_node.peers.move import move
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

POLL_S = 0.1
MAX_TRIES = 5
BACKOFF_FIRST_S, BACKOFF_MAX_S = 2.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How one try ended; PENDING is tried again."""

    state: FetchState
    reason: str | None = None
    instances: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """What is asked of one peer, one after the other; `ae_title` is the node's, known there."""

    name: str
    settings: DimsePeer
    ae_title: str
    spool: Spool
    database: Database
    jitter: random.Random = field(default_factory=random.Random)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; trouble with the database ends no queue."""
        while not stop.is_set():
            try:
                did = not is_draining(self.spool) and self.fetch_due(now=self.database.now())
            except Exception:
                log.exception("fetcher_failed", peer=self.name)
                did = False
            if not did:
                stop.wait(POLL_S)

    def fetch_due(self, *, now: float) -> bool:
        """One question or study, if one is due; its row says how it ended."""
        with self.database.read() as connection:
            due = fetches.next_due(connection, self.name, now=now, longest_s=BACKOFF_MAX_S)
        if due is None:
            return False
        with self.database.write() as connection:
            if not fetches.begin(connection, due, now=now):
                return True  # given up meanwhile
        self._record(due, self._try(due), self.database.now())
        return True

    def _try(self, due: Fetch) -> _Ended:
        """The boundary: whatever happens, the row has an end, or another try."""
        try:
            return self._find(due) if due.is_question else self._move(due)
        except InputError as error:
            return _Ended(state=FetchState.FAILED, reason=str(error))
        except PeerUnreachable as error:
            return _Ended(state=FetchState.PENDING, reason=str(error))
        except Exception as error:
            log.exception("fetch_failed", peer=self.name, fetch=due.id)
            return _Ended(state=FetchState.PENDING, reason=where(error))

    def _find(self, question: Fetch) -> _Ended:
        assert question.for_study_id is not None  # noqa: S101 — whose priors it asks for
        with self.database.read() as connection:
            instances = studies.instances(connection, self.spool, question.for_study_id)
        main = examined(instances)
        found = find_priors(
            self.settings,
            patient_id=main.patient_id,
            issuer=main.issuer,
            before=main.study_date,
            within_days=question.within_days or 0,
            calling_ae_title=self.ae_title,
        )
        wanted = worth_fetching(found, main.modalities)
        now = self.database.now()
        with self.database.write() as connection:
            wanted = [e for e in wanted if not is_erased(connection, e.study_instance_uid)]
            for prior in wanted:
                here = arrivals.count_of(connection, prior.study_instance_uid)
                fetches.want(
                    connection,
                    question,
                    prior.study_instance_uid,
                    is_here=_is_complete(prior, here),
                    now=now,
                )
        reason = f"{len(found)} earlier studies, {len(wanted)} of them wanted"
        return _Ended(state=FetchState.MOVED, reason=reason)

    def _move(self, due: Fetch) -> _Ended:
        moved = move(
            self.settings,
            due.study_instance_uid,
            destination_ae=self.ae_title,
            calling_ae_title=self.ae_title,
        )
        if moved.problem is not None:
            state = FetchState.PENDING if moved.is_transient else FetchState.FAILED
            return _Ended(state=state, reason=moved.problem)
        reason = f"{moved.failed} of its instances did not come" if moved.failed else None
        return _Ended(state=FetchState.MOVED, reason=reason, instances=moved.sent)

    def _record(self, due: Fetch, ended: _Ended, now: float) -> None:
        state, reason = ended.state, ended.reason
        tries = due.tries + 1
        if state is FetchState.PENDING and tries >= MAX_TRIES:
            state, reason = FetchState.FAILED, f"given up after {tries} tries: {reason}"
        with self.database.write() as connection:
            fetches.record(
                connection,
                due,
                state,
                reason=reason,
                instances=ended.instances,
                next_try_at=now + self.backoff_s(due.tries),
                now=now,
            )
        level = log.error if state is FetchState.FAILED else log.info
        level(
            "priors_asked" if due.is_question else "study_fetched",
            peer=self.name,
            for_study_id=due.for_study_id,
            study=None if due.is_question else pseudonym(due.study_instance_uid),
            state=state,
            reason=reason,
            instances=ended.instances,
        )

    def backoff_s(self, tries: int) -> float:
        """Doubles, with jitter so that nodes do not knock in step."""
        longest = min(BACKOFF_FIRST_S * 2.0 ** min(tries, 20), BACKOFF_MAX_S)
        return longest * self.jitter.uniform(0.5, 1.0)


def _is_complete(prior: PriorStudy, here: int) -> bool:
    return prior.instances is not None and 0 < prior.instances <= here
