"""From the outbox to each peer: one queue and one thread per peer, until it has everything."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from dicom_ai_node.config.settings import DeliverySettings
from dicom_ai_node.database import deliveries
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import Delivery, DeliveryState
from dicom_ai_node.log import get_logger, where
from dicom_ai_node.peers.peer import Peer, StoreOutcome
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

POLL_S = 0.05
BACKOFF_FIRST_S = 2.0
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerQueue:
    """What waits for one peer; a peer that is down delays nobody else."""

    name: str
    peer: Peer
    spool: Spool
    database: Database
    settings: DeliverySettings
    jitter: random.Random = field(default_factory=random.Random)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; the deliver boundary: trouble with the database ends no queue."""
        while not stop.is_set():
            try:
                sent = self.deliver_due(now=self.database.now())
            except Exception:
                log.exception("peer_queue_failed", peer=self.name)
                sent = 0
            if not sent:
                stop.wait(POLL_S)

    def deliver_due(self, *, now: float) -> int:
        """One association's worth: send what is due, and record every answer."""
        with self.database.read() as connection:
            due = deliveries.due(connection, self.name, now=now)
        if not due:
            return 0
        outcomes = self._store([self.spool.outbox_path(key) / each.file for each, key in due])
        with self.database.write() as connection:
            for (delivery, _), outcome in zip(due, outcomes, strict=True):
                self._record(connection, delivery, outcome, self.database.now())
        return len(due)

    def _store(self, paths: Sequence[Path]) -> Sequence[StoreOutcome]:
        """The deliver boundary: whatever happens, every object has an outcome, and the next try."""
        try:
            return self.peer.store(paths)
        except PeerUnreachable as error:
            log.warning("peer_unreachable", peer=self.name, reason=str(error))
            status = str(error)
        except Exception as error:
            log.exception("delivery_failed", peer=self.name)
            status = where(error)
        return [StoreOutcome(state=DeliveryState.PENDING, status=status)] * len(paths)

    def _record(
        self, connection: Connection, sent: Delivery, outcome: StoreOutcome, now: float
    ) -> None:
        state, status = outcome.state, outcome.status
        too_old = now - sent.created_at > self.settings.max_age_days * _DAY_S
        if state is DeliveryState.PENDING and too_old:
            state, status = DeliveryState.REFUSED, f"given up after its maximal age: {status}"
        deliveries.record(
            connection,
            sent,
            state,
            status=status,
            next_try_at=now + self.backoff_s(sent.tries),
            now=now,
        )
        level = log.error if state is DeliveryState.REFUSED else log.info
        level(
            "object_sent",
            peer=self.name,
            job=sent.job_id,
            kind=sent.kind,
            state=state,
            status=status,
        )

    def backoff_s(self, tries: int) -> float:
        """Doubles from 2 s to the maximum, with jitter so that nodes do not knock in step."""
        longest = min(BACKOFF_FIRST_S * 2.0 ** min(tries, 20), self.settings.backoff_max_s)
        return longest * self.jitter.uniform(0.5, 1.0)
