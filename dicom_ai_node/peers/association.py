"""An association of ours with a peer: who we are, how long we wait."""

import socket
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.tls import PeerContext, current_context, no_tls
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_open: "WeakSet[Association]" = WeakSet()  # those of this process


def abort_all() -> None:
    """End every association of ours: at a stop, a peer that hangs is not waited for."""
    for association in list(_open):
        if association.is_established:
            association.abort()


def name_of(settings: DimsePeer) -> str:
    return f"{settings.ae_title} at {settings.host}:{settings.port}"


def associate(
    settings: DimsePeer,
    contexts: Iterable[PresentationContext],
    *,
    calling_ae_title: str,
    roles: Iterable[SCP_SCU_RoleSelectionNegotiation] = (),
    silence_s: float | None = None,
) -> Association:
    """Established or not: the caller looks, and releases it. PeerUnreachable without an address,
    or without TLS.

    `silence_s` is for one answer, where that may take longer than the peer's `timeout_s`.
    """
    _require_address(settings)
    ae = AE(ae_title=calling_ae_title)
    ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = ae.acse_timeout = settings.connect_timeout_s
    ae.dimse_timeout = ae.network_timeout = silence_s or settings.timeout_s
    context = _context(settings)
    association = ae.associate(
        settings.host,
        settings.port,
        contexts=list(contexts),
        ae_title=settings.ae_title,
        ext_neg=list(roles),
        tls_args=None if context is None else (context, _server_name(settings)),
    )
    if settings.tls and context and context.trouble and not association.is_established:
        raise no_tls(name_of(settings), context.trouble, settings.tls)
    if association.is_established:
        _give_up_writing_after(silence_s or settings.timeout_s, association)
    leave_answers(association)
    _open.add(association)
    return association


def _require_address(settings: DimsePeer) -> None:
    """pynetdicom takes a name that nobody knows for a mistake of the program."""
    try:
        socket.getaddrinfo(settings.host, settings.port)
    except (OSError, UnicodeError):
        raise PeerUnreachable(
            f"{name_of(settings)} has no address: is its host right, and does the name service work"
        ) from None


def _context(settings: DimsePeer) -> PeerContext | None:
    """Certificates are read for each association, so that renewed ones need no restart."""
    return None if settings.tls is None else current_context(name_of(settings), settings.tls)


def _server_name(settings: DimsePeer) -> str:
    named = settings.tls.server_name if settings.tls is not None else None
    return named or settings.host


def _give_up_writing_after(seconds: float, association: Association) -> None:
    """pynetdicom waits for ever for a peer that reads no more, and so does who aborts then."""
    transport = association.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.settimeout(seconds)


def leave_answers(association: Association) -> None:
    """Answers go to who asked: pynetdicom 3.0's reactor may take one that comes fast.

    It looks whether it is paused, and only then for a message. In between, `send_…()` can pause it,
    send, and be answered; the answer then counts as a message out of turn, and ends the
    association.
    """
    dimse = association.dimse
    take = dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        found = take(block)
        is_paused = not association._reactor_checkpoint.is_set()
        if block or not is_paused or found[1] is None:
            return found
        dimse.msg_queue.put(found)
        return None, None

    dimse.get_msg = get_msg  # type: ignore[method-assign]
