"""From the outbox to each peer: one queue and one thread per peer, until it has everything."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from sqlalchemy import Connection

from dicom_ai_node.config.settings import DeliverySettings
from dicom_ai_node.database import deliveries, ladders
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import Delivery, DeliveryState
from dicom_ai_node.log import get_logger, where
from dicom_ai_node.outbox import verified
from dicom_ai_node.peers.peer import Offer, Peer, StoreOutcome
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

POLL_S = 0.05
BACKOFF_FIRST_S = 2.0
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Deliveries of one job that are taken together, or do not depend on others."""

    rows: Sequence[Delivery]
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerQueue:
    """What waits for one peer; a peer that is down delays nobody else."""

    name: str
    peer: Peer
    spool: Spool
    database: Database
    settings: DeliverySettings
    wants_commitment: bool = False
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
            parts = self._parts(connection, due)
        outcomes = self._store([part.offer for part in parts]) if parts else []
        if due:
            with self.database.write() as connection:
                for part, answers in zip(parts, outcomes, strict=True):
                    self._settle(connection, part, answers, self.database.now())
        return len(due)

    def _parts(self, connection: Connection, due: Sequence[tuple[Delivery, str]]) -> list["_Part"]:
        """Of each job what is of its form, and what goes along with it, as they came."""
        of_job: dict[int, list[tuple[Delivery, Path]]] = {}
        for row, key in due:
            of_job.setdefault(row.job_id, []).append((row, self.spool.outbox_path(key) / row.file))
        parts = []
        for job_id, every in of_job.items():
            is_sound = cache(partial(self._is_sound, every))
            for in_form in dict.fromkeys(bool(row.rungs) for row, _ in every):
                part = [each for each in every if bool(each[0].rungs) == in_form]
                offer = Offer(
                    paths=[path for _, path in part],
                    or_else=in_form and ladders.has_lower(connection, job_id, self.name),
                    is_sound=is_sound,
                )
                parts.append(_Part(rows=[row for row, _ in part], offer=offer))
        return parts

    def _is_sound(self, every: Sequence[tuple[Delivery, Path]]) -> bool:
        """Whether all of a job that is to be sent is what was made; what is gone is no danger."""
        for row, path in every:
            if path.exists() and not verified(path, row.sha256):
                log.error("object_altered", peer=self.name, job=row.job_id, kind=row.kind)
                return False
        return True

    def _store(self, offers: Sequence[Offer]) -> Sequence[Sequence[StoreOutcome]]:
        """The deliver boundary: whatever happens, every object has an outcome, and the next try."""
        try:
            return self.peer.store(offers)
        except PeerUnreachable as error:
            log.warning("peer_unreachable", peer=self.name, reason=str(error))
            status = str(error)
        except Exception as error:
            log.exception("delivery_failed", peer=self.name)
            status = where(error)
        outcome = StoreOutcome(state=DeliveryState.PENDING, status=status)
        return [[outcome] * len(offer.paths) for offer in offers]

    def _settle(
        self, connection: Connection, part: "_Part", outcomes: Sequence[StoreOutcome], now: float
    ) -> None:
        """What was stored first, for it decides which other form is left."""
        answered = list(zip(part.rows, outcomes, strict=True))
        stored = [each for each in answered if each[1].state is DeliveryState.STORED]
        others = [each for each in answered if each[1].state is not DeliveryState.STORED]
        for row, outcome in stored:
            self._record(connection, row, outcome, now)
        if part.offer.or_else and self._stepped_down(connection, others, now):
            return
        for row, outcome in others:
            self._record(connection, row, outcome, now)
        if not stored and part.rows[0].rungs and all(each.form_refused for each in outcomes):
            ladders.back_to_top(connection, part.rows[0].job_id, self.name)

    def _stepped_down(
        self,
        connection: Connection,
        answered: Sequence[tuple[Delivery, StoreOutcome]],
        now: float,
    ) -> bool:
        refused = {row.id: outcome.status for row, outcome in answered if outcome.form_refused}
        if not refused:
            return False
        status = next(iter(refused.values()))
        job_id = answered[0][0].job_id
        rung = ladders.step_down(connection, job_id, self.name, refused, status=status, now=now)
        if rung is None:
            return False
        log.warning("form_not_taken", peer=self.name, job=job_id, status=status, next_rung=rung)
        return True

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
            wants_commitment=self.wants_commitment,
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
