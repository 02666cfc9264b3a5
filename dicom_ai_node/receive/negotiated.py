"""Negotiations of this process: a peer asks for the same each time, and is answered the same."""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pynetdicom.presentation import PresentationContext

from dicom_ai_node.receive.negotiation import (
    Context,
    Request,
    accept,
    contexts_for,
    read_request,
)

_KEPT = 16  # requests; of a large one, reading and answering take 25 ms
_LARGEST = 1 << 15  # bytes of a request that is kept


class _Known(NamedTuple):
    request: Request
    may: Sequence[str]
    contexts: Mapping[int, Context]
    answer: bytes


class Negotiations:
    """Only requests of peers that were admitted are kept, byte for byte."""

    def __init__(self, supported: Sequence[PresentationContext], *, max_pdu: int) -> None:
        self._supported = supported
        self._max_pdu = max_pdu
        self._known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()

    def read(self, body: memoryview) -> Request:
        """Raises ProtocolError for what is no A-ASSOCIATE-RQ."""
        known = self._known.get(bytes(body))
        return known.request if known else read_request(body)

    def accept(self, request: Request, may: Sequence[str]) -> tuple[Mapping[int, Context], bytes]:
        """The contexts in force, by their ID, and the A-ASSOCIATE-AC that says so."""
        known = self._known.get(request.body)
        if known is not None and known.may == may:  # titles are the same, the certificate may not
            return known.contexts, known.answer
        supported = contexts_for(may, self._supported)
        contexts, answer = accept(request, supported, max_pdu=self._max_pdu)
        if len(request.body) <= _LARGEST:
            self._keep(_Known(request, may, contexts, answer))
        return contexts, answer

    def _keep(self, known: _Known) -> None:
        with self._lock:
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[known.request.body] = known
