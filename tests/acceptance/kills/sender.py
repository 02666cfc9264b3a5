"""Modalities with ledgers of their own: what was acknowledged, and what was refused."""

import copy
import hashlib
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue

from pydicom import Dataset

from tests.receive.scu import encoded
from tests.receive.wire_peer import RELEASE_RQ, Peer, data_pdus, pdu, store_rq

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_AGAIN_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Study:
    """`wrong` says in which way it is, if it is."""

    uid: str
    patient_id: str
    instances: Sequence[tuple[Dataset, bytes]]  # the header, and the data set as it is sent
    wrong: str | None = None


def study_of(instances: Sequence[Dataset], *, wrong: str | None = None) -> Study:
    return Study(
        uid=str(instances[0].StudyInstanceUID),
        patient_id=str(instances[0].PatientID),
        instances=[(copy.deepcopy(ds), encoded(ds)) for ds in instances],
        wrong=wrong,
    )


@dataclass
class Ledger:
    """What one sender knows; of no other node than by its answers."""

    acknowledged: dict[str, str] = field(default_factory=dict)  # SOP Instance UID: SHA-256
    refused: dict[str, int] = field(default_factory=dict)  # SOP Instance UID: the status
    sent_again: int = 0  # the answer was lost, or asked for it
    statuses: dict[int, int] = field(default_factory=dict)


class Sender(threading.Thread):
    """Sends one study after the other, each instance until it has a final answer."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.ledger = Ledger()
        self.done: set[str] = set()  # Study Instance UIDs
        self._port = port
        self._studies: SimpleQueue[Study | None] = SimpleQueue()
        self._stopping = threading.Event()

    def give(self, study: Study) -> None:
        self._studies.put(study)

    def end(self) -> None:
        """After what was given."""
        self._studies.put(None)
        self.join(timeout=300)
        self._stopping.set()
        assert not self.is_alive()

    def run(self) -> None:
        while (study := self._studies.get()) is not None:
            left = list(study.instances)
            while left and not self._stopping.is_set():
                # a refused association is no answer to an instance either: 2,3,1 passes
                with suppress(OSError, AssertionError), Peer(self._port) as peer:
                    peer.associate()
                    while left:
                        if not self._is_answered(peer, *left[0]):
                            break
                        left.pop(0)
                    peer.say(pdu(RELEASE_RQ, bytes(4)))
                    peer.hear()
                if left:
                    self._stopping.wait(_AGAIN_S)
            self.done.add(study.uid)

    def _is_answered(self, peer: Peer, ds: Dataset, data: bytes) -> bool:
        """False where the node says that it cannot now."""
        self.ledger.sent_again += 1  # taken back when an answer comes at the first try
        peer.say(store_rq(ds), *data_pdus(data))
        *_, status = peer.answer()
        self.ledger.statuses[status] = self.ledger.statuses.get(status, 0) + 1
        if status in _OUT_OF_RESOURCES:
            return False
        self.ledger.sent_again -= 1
        if status == 0:
            self.ledger.acknowledged[ds.SOPInstanceUID] = hashlib.sha256(data).hexdigest()
        else:
            self.ledger.refused[ds.SOPInstanceUID] = status
        return True
