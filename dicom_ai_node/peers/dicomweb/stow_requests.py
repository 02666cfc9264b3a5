"""The requests of one session: what goes together, and what is asked again by itself."""

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.dicomweb.connection import AnswerMissing
from dicom_ai_node.peers.dicomweb.service import Session
from dicom_ai_node.peers.dicomweb.stow_answer import NO_SERVICE, SPLIT, named, unnamed
from dicom_ai_node.peers.dicomweb.stow_body import body_of
from dicom_ai_node.peers.peer import NOT_REACHED, UNREADABLE, StoreOutcome

_MOST_OBJECTS = 100  # in one request


class StowRequests:
    """After one that is not answered, nothing more is sent: `has_broken`."""

    def __init__(self, session: Session, most_bytes: int, *, one_by_one: bool = False) -> None:
        self.has_broken = False
        self._session = session
        self._most_bytes = most_bytes
        self._one_by_one = one_by_one
        self._is_heard = False  # the peer has answered one

    def send(self, uids: Mapping[Path, str]) -> dict[Path, StoreOutcome]:
        """An outcome for each file. Raises PeerUnreachable if nothing was answered as yet."""
        answered: dict[Path, StoreOutcome] = dict.fromkeys(uids, NOT_REACHED)
        waiting = deque(self._together(list(uids)))
        while waiting and not self.has_broken:
            paths = waiting.popleft()
            try:
                outcomes = self._request(paths, uids)
            except PeerUnreachable as error:
                self.has_broken = True
                if len(paths) == 1 and isinstance(error, AnswerMissing):
                    # it may be the reason: it alone is put off, and the others go before it
                    answered[paths[0]] = StoreOutcome(
                        state=DeliveryState.PENDING, status=str(error)
                    )
                elif not self._is_heard:
                    raise
                continue
            self._is_heard = True
            reached(Step.OBJECT_SENT)
            if outcomes is None:
                waiting.extendleft([path] for path in reversed(paths))
            else:
                answered |= zip(paths, outcomes, strict=True)
        return answered

    def _together(self, paths: Sequence[Path]) -> list[Sequence[Path]]:
        found: list[list[Path]] = []
        room = 0
        for path in paths:
            size = path.stat().st_size if path.exists() else 0
            is_full = not found or size > room or len(found[-1]) == _MOST_OBJECTS
            if is_full or self._one_by_one:
                found.append([])
                room = self._most_bytes
            found[-1].append(path)
            room -= size
        return list(found)

    def _request(
        self, paths: Sequence[Path], uids: Mapping[Path, str]
    ) -> Sequence[StoreOutcome] | None:
        """None where a request of several was refused as a whole."""
        try:
            body = body_of(paths, within_s=self._session.timeout_s)
        except OSError:  # it was there a moment ago
            return [UNREADABLE] if len(paths) == 1 else None
        answer = self._session.ask("POST", "/studies", body=body)
        reached(Step.OBJECT_SENT)
        said = named(answer.content)
        ours = [said.get(uids[path]) for path in paths]
        if not any(ours):
            if answer.status in NO_SERVICE:
                raise PeerRefusesUs(
                    f"{self._session.connections.name} takes no STOW-RS (HTTP {answer.status}): "
                    "check url, to which /studies is added"
                )
            if len(paths) > 1 and answer.status in SPLIT:
                return None
        others_are = any(ours)
        return [each or unnamed(answer.status, others_are=others_are) for each in ours]
