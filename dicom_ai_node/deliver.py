"""From the outbox to each peer: one queue and one thread per peer, until it has everything."""

import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from sqlalchemy import Connection

from dicom_ai_node import delivery_counts, metrics, send_now
from dicom_ai_node.config.settings import DeliverySettings
from dicom_ai_node.database import deliveries, ladders, waiting
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.job import Delivery, DeliveryState
from dicom_ai_node.log import get_logger, where
from dicom_ai_node.peers.contact import Contact
from dicom_ai_node.peers.peer import NOT_SENT, NOT_WANTED, Offer, Peer, StoreOutcome
from dicom_ai_node.sendable import is_sound, is_wanted
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

POLL_S = 0.05
BACKOFF_FIRST_S = 2.0
_DAY_S = 86_400
_ENOUGH = 3  # offers without a final answer, on one association, of a peer that gave none before
_LONGEST = 20  # pause at once, as a number of tries: until somebody changes a setting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Deliveries of one job that are taken together, or do not depend on others."""

    rows: Sequence[Delivery]
    offer: Offer

    @property
    def job_id(self) -> int:
        return self.rows[0].job_id


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
    contact: Contact = field(default_factory=Contact)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; the deliver boundary: trouble with the database ends no queue."""
        beat = metrics.beat("deliver", f"peer {self.name}")
        while not stop.is_set():
            beat()
            try:
                sent = self.deliver_due(now=self.database.now(), stop=stop)
            except Exception:
                log.exception("peer_queue_failed", peer=self.name)
                sent = 0
            if not sent:
                stop.wait(POLL_S)

    def deliver_due(self, *, now: float, stop: threading.Event | None = None) -> int:
        """One association's worth: send what is due, and record each answer as it comes."""
        longest_s = self.settings.backoff_max_s
        if send_now.take(self.spool, self.name):
            self._end_pauses(now)
        if self.contact.is_left_alone(now, longest_s=longest_s):
            return 0
        begun = time.monotonic()
        with self.database.read() as connection:
            due = deliveries.due(connection, self.name, now=now, longest_s=longest_s)
            parts = self._parts(connection, due, now)
        if parts:
            self._deliver(parts, lambda: now + time.monotonic() - begun, stop)
        return sum(len(part.rows) for part in parts)

    def _end_pauses(self, now: float) -> None:
        """A person says that the peer is back."""
        self.contact.until = 0.0
        with self.database.write() as connection:
            waiting.end_pauses(connection, self.name, now=now)
        log.info("peer_tried_at_once", peer=self.name)

    def _parts(
        self, connection: Connection, due: Sequence[tuple[Delivery, str]], now: float
    ) -> list["_Part"]:
        """Of each job what is of its form, and what goes along with it, as they came; last what
        had no answer the last time, for it may be what ends an association."""
        of_job: dict[int, list[tuple[Delivery, Path]]] = {}
        for row, key in due:
            of_job.setdefault(row.job_id, []).append((row, self.spool.outbox_path(key) / row.file))
        parts = []
        for job_id, every in of_job.items():
            sound = cache(partial(is_sound, every))
            for in_form in dict.fromkeys(bool(row.rungs) for row, _ in every):
                or_else = in_form and ladders.has_lower(connection, job_id, self.name)
                part = [each for each in every if bool(each[0].rungs) == in_form]
                is_due = [each for each in part if self._is_due(each[0], now)]
                if part := part if or_else and is_due else is_due:
                    rows = [row for row, _ in part]
                    offer = Offer(
                        paths=[path for _, path in part],
                        or_else=or_else,
                        is_sound=sound,
                        is_wanted=partial(is_wanted, self.database, rows),
                    )
                    parts.append(_Part(rows=rows, offer=offer))
        return sorted(parts, key=lambda part: part.job_id in self.contact.suspects)

    def _is_due(self, row: Delivery, now: float) -> bool:
        return not now < row.next_try_at <= now + self.settings.backoff_max_s

    def _deliver(
        self, parts: Sequence["_Part"], clock: Callable[[], float], stop: threading.Event | None
    ) -> None:
        unanswered = 0
        try:
            with closing(self._answers(parts)) as answers:
                for part, outcomes in answers:
                    if NOT_WANTED in outcomes:
                        continue
                    with self.database.write() as connection:
                        self._settle(connection, part, outcomes, clock())
                        reached(Step.DELIVERY_WRITTEN)
                    reached(Step.DELIVERY_RECORDED)
                    delivery_counts.answered(
                        self.name, part.rows, outcomes, self.database, now=clock()
                    )
                    unanswered = 0 if self._is_answered(part, outcomes) else unanswered + 1
                    is_enough = unanswered and len(self.contact.unanswered) >= _ENOUGH
                    if is_enough or (stop is not None and stop.is_set()):
                        break
        except PeerUnreachable as error:
            if isinstance(error, PeerRefusesUs):
                self.contact.refused_at(parts[0].job_id)
            self._put_off(error, clock())
            return
        if unanswered and self.contact.is_in_trouble:
            self._leave_alone("it answers for no object", clock())

    def _answers(
        self, parts: Sequence["_Part"]
    ) -> Generator[tuple["_Part", Sequence[StoreOutcome]]]:
        """The deliver boundary: an object at which something unforeseen happens is tried again,
        and those after it are not held up."""
        asked = 0
        try:
            every = self.peer.store([part.offer for part in parts])
            for part, outcomes in zip(parts, every, strict=False):
                asked += 1
                yield part, outcomes
        except PeerUnreachable:
            raise
        except Exception as error:
            log.exception("delivery_failed", peer=self.name)
            outcome = StoreOutcome(state=DeliveryState.PENDING, status=where(error))
            for part in parts[asked : asked + 1]:
                yield part, [outcome] * len(part.rows)

    def _is_answered(self, part: "_Part", outcomes: Sequence[StoreOutcome]) -> bool:
        """For good, for one object at least."""
        if all(outcome.state is DeliveryState.PENDING for outcome in outcomes):
            was_tried = any(outcome.was_tried for outcome in outcomes)
            self.contact.not_answered(part.job_id, was_tried=was_tried)
            return False
        if self.contact.answered(part.job_id):
            log.info("peer_is_back", peer=self.name)
        return True

    def _put_off(self, error: PeerUnreachable, now: float) -> None:
        """Nothing could be sent: all that waits for the peer waits together."""
        self._leave_alone(str(error), now, needs_somebody=isinstance(error, PeerRefusesUs))
        outcome = StoreOutcome(state=DeliveryState.PENDING, status=str(error))
        with self.database.write() as connection:
            for row in waiting.older_than(connection, self.name, now - self._max_age_s):
                self._record(connection, row, outcome, now)
            waiting.put_off(connection, self.name, until=self.contact.until, status=str(error))

    def _leave_alone(self, reason: str, now: float, *, needs_somebody: bool = False) -> None:
        pause_s = self.backoff_s(_LONGEST if needs_somebody else self.contact.failures)
        is_news = self.contact.failed(reason, until=now + pause_s, refuses_us=needs_somebody)
        level = log.error if needs_somebody and is_news else log.warning
        event = "peer_refuses_us" if needs_somebody else "peer_unreachable"
        result = "refuses_us" if needs_somebody else "unreachable"
        metrics.DELIVERY_TRIES.labels(self.name, result).inc()
        level(event, peer=self.name, reason=reason, again_in_s=round(pause_s))

    def _settle(
        self, connection: Connection, part: "_Part", outcomes: Sequence[StoreOutcome], now: float
    ) -> None:
        """What was stored first, for it decides which other form is left."""
        answered = [
            (row, outcome)
            for row, outcome in zip(part.rows, outcomes, strict=True)
            if outcome.was_tried or (part.offer.or_else and outcome != NOT_SENT)
        ]
        stored = [each for each in answered if each[1].state is DeliveryState.STORED]
        others = [each for each in answered if each[1].state is not DeliveryState.STORED]
        for row, outcome in stored:
            self._record(connection, row, outcome, now)
        if part.offer.or_else and self._stepped_down(connection, others, now):
            return
        for row, outcome in others:
            self._record(connection, row, outcome, now)
        if not stored and part.rows[0].rungs and all(each.form_refused for each in outcomes):
            ladders.back_to_top(connection, part.job_id, self.name)

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
        if state is DeliveryState.PENDING and now - sent.created_at > self._max_age_s:
            state, status = DeliveryState.REFUSED, f"given up after its maximal age: {status}"
        again_at = now + self.backoff_s(sent.tries)
        deliveries.record(
            connection,
            sent,
            state,
            status=status,
            next_try_at=again_at,
            now=now,
            wants_commitment=self.wants_commitment,
        )
        fields = {"peer": self.name, "job": sent.job_id, "kind": sent.kind, "status": status}
        if state is DeliveryState.REFUSED:
            log.error("object_refused", **fields)
        elif outcome.has_warning:
            log.warning("object_stored_with_warning", **fields)
        else:
            log.info("object_sent", state=state, **fields)

    @property
    def _max_age_s(self) -> float:
        return self.settings.max_age_days * _DAY_S

    def backoff_s(self, tries: int) -> float:
        """Doubles from 2 s to the maximum, with jitter so that nodes do not knock in step."""
        longest = min(BACKOFF_FIRST_S * 2.0 ** min(tries, 20), self.settings.backoff_max_s)
        return longest * self.jitter.uniform(0.5, 1.0)
