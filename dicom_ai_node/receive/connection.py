"""One connection: the handshake, the request for an association, the association, the end."""

import select
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from dicom_ai_node import metrics
from dicom_ai_node.config.settings import AcceptEntry, Config
from dicom_ai_node.draining import is_draining
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.admission import (
    APPLICATION_CONTEXT,
    APPLICATION_CONTEXT_UNKNOWN,
    IN_WORDS,
    PROTOCOL_VERSION_UNKNOWN,
    TEMPORARY_CONGESTION,
    Admission,
    Rejected,
)
from dicom_ai_node.receive.association import Association
from dicom_ai_node.receive.backlog import Backlog
from dicom_ai_node.receive.commitment import Commitments
from dicom_ai_node.receive.commitment_report import Reports
from dicom_ai_node.receive.negotiated import Negotiations
from dicom_ai_node.receive.negotiation import STORAGE_COMMITMENT, VERIFICATION, Request
from dicom_ai_node.receive.space import Space, is_short_of_descriptors
from dicom_ai_node.receive.store import Store
from dicom_ai_node.receive.terms import Terms
from dicom_ai_node.receive.transferred import Transferred
from dicom_ai_node.receive.wire import (
    ABORT,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    HEADER,
    UNEXPECTED_PDU,
    Closed,
    Late,
    ProtocolError,
    Wire,
)

log = get_logger(__name__)

_ABORT = struct.Struct(">xxBB")
_REJECT = struct.Struct(">xBBB")
_BY_PROVIDER = 2
_NO_REASON = 0
_VERSION_1 = 0x0001  # a bit field (PS3.8 9.3.2)
# served while the node is drained: reports of storage commitment are awaited even then
_NOTHING_NEW = frozenset({VERIFICATION, STORAGE_COMMITMENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the connections of one process share."""

    config: Config
    admission: Admission
    negotiations: Negotiations
    store: Store
    commitments: Commitments
    reports: Reports
    space: Space
    backlog: Backlog
    draining: threading.Event


class Connection:
    """Serves one peer until it leaves, is too slow, or breaks the rules.

    With a context, it has to get through a TLS handshake first.
    """

    def __init__(
        self,
        accepted: socket.socket,
        address: str,
        services: Services,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = accepted
        self._address = address
        self._services = services
        self._context = context
        self._association: Association | None = None
        self._transferred: Transferred | None = None
        self._wire: Wire | None = None
        self._certificate: frozenset[str] = frozenset()

    def serve(self) -> None:
        began_at = time.monotonic()
        limits = self._services.config.limits
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._context is not None and not self._shake_hands(self._context):
            return
        self._wire = wire = Wire(
            self._socket, max_pdu=limits.pdu_bytes, pdu_s=limits.pdu_s, send_s=limits.send_s
        )
        end = "failed"
        try:
            self._converse(wire, began_at + limits.request_s)
            end = "released"
        except Closed:
            end = "closed"
        except Late:
            end = "too_slow"
            self._say_abort(wire, _NO_REASON)
            self._complain("peer_too_slow")
        except ProtocolError as error:
            end = "protocol_error"
            self._say_abort(wire, error.reason)
            self._complain("protocol_error", what=str(error))
        except Exception:  # the boundary: one connection is one connection
            log.exception("connection_failed", address=self._address)
        finally:
            metrics.ASSOCIATIONS_ENDED.labels(end).inc()
            wire.close(said_something=end != "closed", peer_closes=end == "released")
            if self._transferred is not None:  # a trail that hangs must hold no association's place
                self._transferred.record()

    def _shake_hands(self, context: ssl.SSLContext) -> bool:
        """Who does not get through is told nothing but what OpenSSL says."""
        from dicom_ai_node.receive.tls import HANDSHAKE_S, NoHandshake, TlsSocket

        limit_s = min(HANDSHAKE_S, self._services.config.limits.request_s)
        try:
            self._socket = secured = TlsSocket.over(self._socket, context)
            self._certificate = secured.shake_hands(limit_s)
        except NoHandshake as error:
            metrics.CONNECTIONS_REFUSED.labels("no_tls_handshake").inc()
            self._complain("tls_handshake_failed", why=str(error))
            self._socket.close()
            return False
        return True

    def _converse(self, wire: Wire, deadline: float) -> None:
        kind, body = wire.read_first(deadline)
        if kind != ASSOCIATE_RQ:
            raise ProtocolError(UNEXPECTED_PDU, "no A-ASSOCIATE-RQ")
        request = self._services.negotiations.read(body)
        try:
            self._check(request)
            with self._services.admission.admitted(
                calling=request.calling_ae_title,
                called=request.called_ae_title,
                address=self._address,
                certificate=self._certificate,
            ) as entry:
                self._check_room(request)
                self._associate(wire, request, entry)
        except Rejected as rejected:
            metrics.ASSOCIATIONS_REFUSED.labels(IN_WORDS[rejected.reason]).inc()
            self._complain(
                "association_rejected",
                reason=list(rejected.reason),
                calling_ae=request.calling_ae_title or "not an AE title",
            )
            wire.send(HEADER.pack(ASSOCIATE_RJ, 4) + _REJECT.pack(*rejected.reason))

    def _check(self, request: Request) -> None:
        if not request.protocol_version & _VERSION_1:
            raise Rejected(PROTOCOL_VERSION_UNKNOWN)
        if request.application_context_name != APPLICATION_CONTEXT:
            raise Rejected(APPLICATION_CONTEXT_UNKNOWN)

    def _check_room(self, request: Request) -> None:
        """P9, P13, P14: later, the same association may be welcome."""
        services = self._services
        if is_draining(services.store.spool) and request.proposes_beyond(_NOTHING_NEW):
            raise Rejected(TEMPORARY_CONGESTION)
        is_low = services.space.is_low()
        if is_low:
            metrics.LIMITS_BREACHED.labels("space_soft_mb").inc()
        if is_low or services.draining.is_set() or services.store.ledger.is_down():
            raise Rejected(TEMPORARY_CONGESTION)
        if is_short_of_descriptors():
            self._complain("few_descriptors_left", next_step="raise `ulimit -n` of the node")
            raise Rejected(TEMPORARY_CONGESTION)

    def _associate(self, wire: Wire, request: Request, entry: AcceptEntry) -> None:
        services = self._services
        limits = services.config.limits
        contexts, answer = services.negotiations.accept(request, entry.may)
        terms = Terms(
            calling_ae_title=entry.ae_title,
            called_ae_title=str(request.called_ae_title),
            may=frozenset(entry.may),
            max_pdu=request.max_pdu,
            contexts=contexts,
        )
        self._transferred = transferred = Transferred(
            services.store.spool, calling_ae_title=entry.ae_title, address=self._address
        )
        self._association = Association(
            wire,
            terms,
            services.store,
            services.commitments,
            services.reports,
            limits,
            self._says_something,
            transferred,
        )
        wire.send(answer)
        metrics.ASSOCIATIONS.labels(entry.ae_title).inc()
        with metrics.ASSOCIATIONS_OPEN.labels(entry.ae_title).track_inprogress():
            self._association.serve()

    def _says_something(self, within_s: float) -> bool:
        """True when a read would not wait; TLS may have more than its socket shows."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def is_busy(self, *, idle_s: float) -> bool:
        """True within a message, and for `idle_s` after one."""
        association = self._association
        if association is None:
            return False
        since = association.idle_since
        return since is None or time.monotonic() - since < idle_s

    def abort(self) -> None:
        """From another thread: the peer reads an A-ABORT or finds the connection closed."""
        if self._wire is None:
            with suppress(OSError):  # it may be closed
                self._socket.shutdown(socket.SHUT_RDWR)
            return
        if self._association is not None:
            self._say_abort(self._wire, _NO_REASON)
        self._wire.interrupt()

    def _say_abort(self, wire: Wire, reason: int) -> None:
        with suppress(Closed, Late):  # it may be gone
            wire.send(HEADER.pack(ABORT, 4) + _ABORT.pack(_BY_PROVIDER, reason))

    def _complain(self, event: str, **fields: object) -> None:
        self._services.admission.complain(event, self._address, **fields)
