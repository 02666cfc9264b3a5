"""Questions to the PACS: how many images does a study have? One thread a peer, one at a time.

A PACS that hangs delays its own questions and nothing else: what it does not say, quiet time does.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from dicom_ai_node.config.peers import AnyPeer, DimsePeer
from dicom_ai_node.database import expectations, open_studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.peers.counts import Counts, count_images
from dicom_ai_node.study import WHOLE_STUDY, Expected, Source

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`is_final`: one answer is proof; else the same must be heard again `confirm_s` later."""

    study_id: int
    study_instance_uid: str
    association_ended_at: float
    peer: str
    is_final: bool
    confirm_s: float


@dataclass(slots=True)
class _Queue:
    """The questions to one peer, at most one of a study: the latest."""

    questions: dict[int, Question] = field(default_factory=dict)
    is_served: bool = False


class Asker:
    """Puts questions, and keeps the answers as expectations; safe to call from the tick."""

    def __init__(
        self, peers: Mapping[str, AnyPeer], database: Database, *, calling_ae_title: str
    ) -> None:
        self._peers = {n: peer for n, peer in peers.items() if isinstance(peer, DimsePeer)}
        self._database = database
        self._calling_ae_title = calling_ae_title
        self._lock = threading.Lock()
        self._queues = {name: _Queue() for name in self._peers}

    def ask(self, question: Question) -> None:
        """Returns at once; the answer is found in the table, the study among the changed ones."""
        queue = self._queues[question.peer]
        with self._lock:
            queue.questions[question.study_id] = question
            if queue.is_served:
                return
            queue.is_served = True
        threading.Thread(
            target=self._serve, args=(queue,), name=f"ask {question.peer}", daemon=True
        ).start()

    def _serve(self, queue: _Queue) -> None:
        """The boundary: a question that fails is not asked again, and the next one is."""
        while True:
            with self._lock:
                if not queue.questions:
                    queue.is_served = False
                    return
                question = queue.questions.pop(next(iter(queue.questions)))
            try:
                self._put(question)
            except PeerUnreachable as error:
                log.warning("pacs_did_not_count", peer=question.peer, why=str(error))
            except Exception:
                log.exception("question_failed", peer=question.peer)

    def _put(self, question: Question) -> None:
        with self._database.read() as connection:
            row = open_studies.find_open(connection, question.study_id)
        if row is None or row["association_ended_at"] != question.association_ended_at:
            return  # it was closed meanwhile, or more has come: that will end, too
        counts = count_images(
            self._peers[question.peer],
            question.study_instance_uid,
            calling_ae_title=self._calling_ae_title,
        )
        log.info(
            "pacs_counted",
            study=pseudonym(question.study_instance_uid),
            peer=question.peer,
            images=counts.images if counts else None,
        )
        if counts is not None:
            self._keep(question, counts, self._database.now())

    def _keep(self, question: Question, counts: Counts, now: float) -> None:
        said = _expected(question, counts, now)
        with self._database.write() as connection:
            before = [
                each
                for each in expectations.of_study(connection, question.study_instance_uid)
                if (each.source, each.origin) == (Source.PACS, question.peer)
            ]
            is_same = expectations.by_series(before) == expectations.by_series(said)
            if not is_same or question.is_final:
                expectations.replace(connection, said)
            elif now - max(each.at for each in before) >= question.confirm_s:
                expectations.confirm(
                    connection, question.study_instance_uid, Source.PACS, question.peer
                )


def _expected(question: Question, counts: Counts, now: float) -> list[Expected]:
    numbers = {WHOLE_STUDY: counts.images, **counts.series}
    return [
        Expected(
            study_instance_uid=question.study_instance_uid,
            series_instance_uid=uid,
            source=Source.PACS,
            origin=question.peer,
            instances=number,
            is_final=question.is_final,
            at=now,
        )
        for uid, number in numbers.items()
    ]
