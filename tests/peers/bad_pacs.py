"""A PACS that does what a bad one does, as its script says, on a real socket; and its own ledger.

pacs = BadPacs(deeds=[answers(0xA700), ABORTS], refusals=[(2, 3, 1)])
with pacs.running():
    ...
assert pacs.kept == {uid: data set}
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom.filereader import read_dataset
from pynetdicom import build_context, evt
from pynetdicom.pdu import P_DATA_TF

from tests.peers.pacs import Pacs

Refusal = tuple[int, int, int]  # result, source and reason (PS3.8 Table 9-21)
CONGESTED: Refusal = (2, 3, 1)
TOO_MANY: Refusal = (2, 3, 2)
UNKNOWN_CALLING: Refusal = (1, 1, 3)
UNKNOWN_CALLED: Refusal = (1, 1, 7)

_C_STORE_RQ = 0x0001


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What is done with one object."""

    status: int = 0x0000
    keeps: bool = True
    as_uid: str | None = None  # kept under another SOP Instance UID
    after_s: float = 0
    aborts: bool = False  # with A-ABORT, when the whole of it has come
    breaks: bool = False  # the connection is closed once the command has come
    stalls: bool = False  # nothing is read any more once the command has come
    hangs: bool = False  # nothing is answered before the PACS is shut down


def answers(status: int) -> Deed:
    """Kept where the status says so: success, a warning, or that it is there."""
    return Deed(status=status, keeps=status in (0x0000, 0x0111) or status >> 12 == 0xB)


def slow(seconds: float) -> Deed:
    return Deed(after_s=seconds)


def renames(uid: str, status: int = 0xB000) -> Deed:
    return Deed(status=status, as_uid=uid)


KEEPS = Deed()
FORGETS = Deed(keeps=False)  # says 0000
ABORTS = Deed(keeps=False, aborts=True)
BREAKS = Deed(keeps=False, breaks=True)
STALLS = Deed(keeps=False, stalls=True)
KEEPS_AND_ABORTS = Deed(aborts=True)  # the answer is lost
HANGS = Deed(keeps=False, hangs=True)


@dataclass
class BadPacs(Pacs):
    """Each object gets the next of `deeds`, and `then` when they are used up; so do associations
    with `refusals` (None: it is accepted) and `then_refuses`.

    `received` has everything that came whole, `kept` what it would show to somebody who asks.
    """

    deeds: list[Deed] = field(default_factory=list)
    then: Deed | None = None  # None: what `answer` says for its SOP class
    refusals: list[Refusal | None] = field(default_factory=list)
    then_refuses: Refusal | None = None
    hangs_at_association: bool = False
    accepts_one_context: bool = False  # the first that is proposed
    kept: dict[str, bytes] = field(default_factory=dict)  # SOP Instance UID -> data set
    associations: int = 0  # asked for, refused ones too
    _end: threading.Event = field(default_factory=threading.Event)

    @property
    def times(self) -> Counter[str]:
        """How often each SOP Instance UID came."""
        return Counter(uid for uid, _, _ in self.received)

    @contextmanager
    def running(self) -> Iterator["BadPacs"]:
        self._end.clear()
        with super().running():
            try:
                yield self
            finally:
                self._end.set()

    def _handlers(self) -> Sequence[tuple[Any, Any]]:
        requested = (evt.EVT_REQUESTED, self._on_association)
        return [*super()._handlers(), requested, (evt.EVT_PDU_RECV, self._on_pdu)]

    def _on_association(self, event: evt.Event) -> None:
        self.associations += 1
        assoc = event.assoc
        refusal = self.refusals.pop(0) if self.refusals else self.then_refuses
        if self.hangs_at_association:
            self._end.wait()
        if refusal is not None:
            assoc.acse.send_reject(*refusal)
            assoc.kill()
            return
        if self.accepts_one_context:
            first = assoc.requestor.primitive.presentation_context_definition_list[0]
            only = build_context(first.abstract_syntax, first.transfer_syntax)
            assoc.acceptor.supported_contexts = [only]

    def _on_pdu(self, event: evt.Event) -> None:
        """In the thread that reads the connection."""
        interferes = bool(self.deeds) and (self.deeds[0].breaks or self.deeds[0].stalls)
        if interferes and _begins_a_store(event.pdu):
            if self.deeds.pop(0).stalls:
                self._end.wait()
            event.assoc.dul.socket.close()

    def _on_store(self, event: evt.Event) -> int:
        status = super()._on_store(event)
        deed = self.deeds.pop(0) if self.deeds else self.then or answers(status)
        if deed.hangs or deed.after_s:
            self._end.wait(None if deed.hangs else deed.after_s)
        if deed.keeps:
            uid, _, data = self.received[-1]
            self.kept[deed.as_uid or uid] = data
        if deed.aborts:
            event.assoc.abort()
        return deed.status


def _begins_a_store(pdu: object) -> bool:
    if not isinstance(pdu, P_DATA_TF):
        return False
    control, *_ = value = pdu.presentation_data_value_items[0].presentation_data_value
    if not control & 1:  # no command
        return False
    return bool(read_dataset(BytesIO(value[1:]), True, True).CommandField == _C_STORE_RQ)
