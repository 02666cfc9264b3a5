"""The storage SCP: who may associate, what is negotiated, and where its messages go."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import cast

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    _config,
    evt,
)
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from dicom_ai_node.config.settings import AcceptEntry, Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.store import Message, Status, store
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

log = get_logger(__name__)

# Deflated Explicit VR LE, the deflated frames of CP 2024, and JPIP's deflated form
DEFLATED = frozenset(
    {UID("1.2.840.10008.1.2.1.99"), UID("1.2.840.10008.1.2.8.1"), UID("1.2.840.10008.1.2.4.95")}
)

# A-ASSOCIATE-RJ (PS3.8 9.3.4): result, source, diagnostic
_CALLING_AE_UNKNOWN = (1, 1, 3)
_CALLED_AE_UNKNOWN = (1, 1, 7)
_TEMPORARY_CONGESTION = (2, 3, 1)

_MAX_COMMENT = 64  # characters of an LO


class Receiver:
    """A storage SCP on one address; `draining` refuses new associations until the process ends."""

    def __init__(self, config: Config, spool: Spool, database: Database) -> None:
        self.config = config
        self.spool = spool
        self.database = database
        self.draining = threading.Event()
        self.server: ThreadedAssociationServer | None = None

    def start(self) -> int:
        """Listen, and return the port."""
        # Values from the wire stay out of pynetdicom's messages; and one odd UID must not abort
        # an association that carries good instances as well (GUARANTEES P4).
        _config.LOG_HANDLER_LEVEL = "none"
        _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
        _config.ENFORCE_UID_CONFORMANCE = False
        node = self.config.node
        try:
            server = self._ae().start_server(
                (node.host, node.port),
                block=False,
                evt_handlers=[
                    (evt.EVT_REQUESTED, self._on_requested),
                    (evt.EVT_C_STORE, self._on_store),
                ],
            )
        except OSError as error:
            raise ConfigError(
                f"node.host {node.host}, node.port {node.port} cannot be used ({error.strerror}): "
                "choose another port, or stop the program that has it"
            ) from None
        assert server is not None  # noqa: S101 — it is only with block=True
        self.server = server
        port = int(server.server_address[1])
        log.info("receiver_listening", host=node.host, port=port, ae_titles=list(node.ae_title))
        return port

    def _ae(self) -> AE:
        node = self.config.node
        ae = AE(ae_title=node.ae_title[0])
        ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.maximum_pdu_size = node.max_pdu
        ae.maximum_associations = node.max_associations
        ae.network_timeout = node.association_idle_s
        ae.acse_timeout = ae.dimse_timeout = 30
        syntaxes = [
            uid for uid in ALL_TRANSFER_SYNTAXES if node.accept_deflated or uid not in DEFLATED
        ]
        ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(str(context.abstract_syntax), syntaxes)
        return ae

    def stop(self) -> None:
        """Refuse new associations, let the present ones finish within `drain_s`, then abort.

        A connection that never became an association is not waited for.
        """
        self.draining.set()
        if self.server is None:
            return
        deadline = time.monotonic() + self.config.node.drain_s
        while time.monotonic() < deadline and any(
            association.is_established for association in self.server.active_associations
        ):
            time.sleep(0.05)
        for association in self.server.active_associations:
            association.abort()
        self.server.shutdown()

    @contextmanager
    def running(self) -> Iterator[int]:
        try:
            yield self.start()
        finally:
            self.stop()

    def _on_requested(self, event: evt.Event) -> None:
        """Refuse an association before its contexts are looked at (PS3.8 Table 9-21)."""
        association = cast("A_ASSOCIATE", event.assoc.requestor.primitive)
        address = event.assoc.requestor.address
        refusal = self._refusal(
            calling=association.calling_ae_title,
            called=association.called_ae_title,
            address=address,
        )
        if refusal:
            log.warning("association_refused", address=address, reason=list(refusal))
            event.assoc.acse.send_reject(*refusal)
            event.assoc.is_rejected = True
            event.assoc.kill()

    def _refusal(self, *, calling: str, called: str, address: str) -> tuple[int, int, int] | None:
        if self.draining.is_set():
            return _TEMPORARY_CONGESTION
        if not any(_may_store(entry, calling, address) for entry in self.config.accept):
            return _CALLING_AE_UNKNOWN
        if called.strip() not in self.config.node.ae_title:
            return _CALLED_AE_UNKNOWN
        return None

    def _on_store(self, event: evt.Event) -> Dataset:
        """The DIMSE boundary: whatever goes wrong with one instance, the association goes on."""
        request = cast("C_STORE", event.request)
        association = cast("A_ASSOCIATE", event.assoc.requestor.primitive)
        message = Message(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            context_sop_class_uid=str(event.context.abstract_syntax),
            transfer_syntax_uid=event.context.transfer_syntax,
            calling_ae_title=association.calling_ae_title.strip(),
            called_ae_title=association.called_ae_title.strip(),
        )
        try:
            data = event.encoded_dataset(include_meta=False)
            status, comment = store(self.spool, self.database, message, data)
        except Exception:
            log.exception("instance_not_stored", cause="bug")
            status, comment = Status.OUT_OF_RESOURCES, "internal error"
        if status is not Status.SUCCESS:
            log.warning(
                "instance_refused",
                status=f"{status:04X}",
                reason=comment,
                calling_ae=message.calling_ae_title,
            )
        return _answer(status, comment)


def _answer(status: Status, comment: str) -> Dataset:
    """What a C-STORE response says of the status (PS3.7 9.3.1.2); a success says nothing more."""
    answer = Dataset()
    answer.Status = int(status)
    if comment:
        answer.ErrorComment = comment[:_MAX_COMMENT]
    return answer


def _may_store(entry: AcceptEntry, calling: str, address: str) -> bool:
    """Title and address must belong to the same entry (P15)."""
    where = ip_address(address)
    return entry.ae_title == calling.strip() and any(where in network for network in entry.from_)
