"""Who was turned away because this node does not know them, for the audit trail (A.5.3.11)."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from dicom_ai_node.audit import codes, current, events, message
from dicom_ai_node.audit.codes import Outcome
from dicom_ai_node.audit.message import Message, Party, Subject
from dicom_ai_node.audit.trail import Trail

_SENTENCES = {
    "connection_from_stranger": "no entry of accept has this address: the connection was closed",
    "tls_handshake_failed": "the TLS handshake failed: the connection was closed",
}
CALLED_UNKNOWN = (
    "this node does not have the AE title that it was called by: the association was refused"
)
# PS3.8 Table 9-21: the calling, and the called AE title is not recognised
_UNKNOWN = {
    (1, 1, 3): "no entry of accept has this AE title from this address with this certificate: "
    "the association was refused",
    (1, 1, 7): CALLED_UNKNOWN,
}
_A_MINUTE = 60.0
_MOST_A_MINUTE = 100  # messages of one process, however many addresses there are
_LINGERS_S = 1.0  # the thread that writes, after its last message
_MOST_WAITING = 10 * _MOST_A_MINUTE  # while the trail hangs; the others are in the log alone


class _Rate:
    """At most so many in a minute; the others are in the log alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = 0.0
        self._number = 0

    def allows(self, now: float) -> bool:
        with self._lock:
            if now - self._began > _A_MINUTE:
                self._began, self._number = now, 0
            self._number += 1
            return self._number <= _MOST_A_MINUTE


class _Writer:
    """A thread of its own while there is something to write: where peers are accepted, nobody waits
    for the trail."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Callable[[Trail], Message]] = queue.Queue(_MOST_WAITING)
        self._is_begun = False

    def add(self, message: Callable[[Trail], Message]) -> None:
        with self._lock:
            with suppress(queue.Full):
                self._waiting.put_nowait(message)
            if not self._is_begun:
                threading.Thread(target=self._write, name="strangers", daemon=True).start()
                self._is_begun = True

    def _write(self) -> None:
        while message := self._next():
            current.note(message, sync=False)

    def _next(self) -> Callable[[Trail], Message] | None:
        with suppress(queue.Empty):
            return self._waiting.get(timeout=_LINGERS_S)
        with self._lock:  # `add` came first, or begins another thread
            with suppress(queue.Empty):
                return self._waiting.get_nowait()
            self._is_begun = False
            return None


_rate = _Rate()
_writer = _Writer()


def alert(event: str, address: str, fields: Mapping[str, object]) -> None:
    """Of a complaint of the log, where it is one about who somebody is; not synced, for whoever
    knocks must not have the disk at their command."""
    description = _SENTENCES.get(event)
    reason = fields.get("reason")
    if event == "association_rejected" and isinstance(reason, list):
        description = _UNKNOWN.get(tuple(reason))
    if description is None or not _rate.allows(time.monotonic()):
        return
    title = str(fields.get("calling_ae", ""))
    why = str(fields.get("why", ""))
    said = f"{description} ({why})" if why else description
    _writer.add(partial(_message, title, address, said, time.time()))


def _message(title: str, address: str, description: str, at: float, trail: Trail) -> Message:
    stranger = Party(user_id=title or address, address=address)
    subject = Subject(id=address, id_type=codes.NODE, role=message.SECURITY_RESOURCE)
    return events.security_alert(
        [trail.here, stranger],
        kind=codes.NODE_AUTHENTICATION,
        subjects=[subject],
        description=description,
        at=at,
        outcome=Outcome.MINOR_FAILURE,
    )
