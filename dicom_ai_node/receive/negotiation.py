"""An A-ASSOCIATE-RQ read, and what of it is accepted (PS3.8 9.3.2, PS3.7 D.3)."""

import re
import struct
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MPEGTransferSyntaxes,
)
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    Verification,
)

from dicom_ai_node.config.settings import NodeSettings
from dicom_ai_node.receive.wire import ASSOCIATE_RQ, HEADER, INVALID_PARAMETER, ProtocolError
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

VERIFICATION, STORAGE_COMMITMENT = str(Verification), str(StorageCommitmentPushModel)
INSTANCE_AVAILABILITY = str(InstanceAvailabilityNotification)
PERFORMED_STEP = str(ModalityPerformedProcedureStep)
NOTIFICATIONS = (INSTANCE_AVAILABILITY, PERFORMED_STEP)

# Deflated Explicit VR LE, the deflated frames of CP 2024, and JPIP's deflated form
DEFLATED = frozenset(
    {
        DeflatedExplicitVRLittleEndian,
        UID("1.2.840.10008.1.2.8.1"),
        UID("1.2.840.10008.1.2.4.95"),
        UID("1.2.840.10008.1.2.4.205"),
    }
)
# ST 2110 is video and sound too, streamed
VIDEO = frozenset({*MPEGTransferSyntaxes, *(UID(f"1.2.840.10008.1.2.7.{n}") for n in (1, 2, 3))})
# Raw data, radiotherapy, waveforms, documents and video are stored only where the configuration
# names them: no model reads them, and some are huge.
_APART = re.compile(
    r"RawData|RT|Enhanced(Continuous)?RT|CArm|Robotic|Tomotherapeutic|Encapsulated|Video|\w*Waveform"
)
_PREFERRED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)

_MAX_CONTEXTS = 128
_TITLES = slice(4, 36)  # called, calling: of 16 bytes each, from the variable field's begin
_ITEM = struct.Struct(">BxH")
_USER_INFORMATION = 0x50
_ITEMS = frozenset({0x10, 0x20, _USER_INFORMATION})
_SUB_ITEMS = frozenset({0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58})  # PS3.7 D.3.3
_FIXED = 68  # bytes before the items
_ANY_TITLE = b"ANY".ljust(16) * 2

# what pynetdicom's decoders raise on bytes that no peer should send
_UNDECODABLE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    struct.error,
)


Parameter = TypeVar("Parameter")
UserInformation = (
    MaximumLengthNotification
    | ImplementationClassUIDNotification
    | ImplementationVersionNameNotification
    | AsynchronousOperationsWindowNegotiation
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An A-ASSOCIATE-RQ; titles are None where they are no AE titles."""

    calling_ae_title: str | None
    called_ae_title: str | None
    protocol_version: int
    application_context_name: str
    body: bytes
    titles: bytes  # as they came: they are sent back so (PS3.8 9.3.3)
    primitive: A_ASSOCIATE

    def parameter(self, kind: type[Parameter]) -> Parameter | None:
        """The user information item of this kind, if there is one."""
        found = (item for item in self.primitive.user_information if isinstance(item, kind))
        return next(found, None)

    @property
    def max_pdu(self) -> int:
        """The longest P-DATA-TF that the requestor takes; 0 is any."""
        item = self.parameter(MaximumLengthNotification)
        return item.maximum_length_received if item else 0

    def proposes_beyond(self, abstract_syntaxes: frozenset[str]) -> bool:
        proposed = self.primitive.presentation_context_definition_list
        return any(context.abstract_syntax not in abstract_syntaxes for context in proposed)


def read_request(body: memoryview) -> Request:
    """Decode with pynetdicom, but for the titles, of which it drops what is not ASCII.

    Raises ProtocolError for what is no A-ASSOCIATE-RQ.
    """
    if len(body) < _FIXED:
        raise ProtocolError(INVALID_PARAMETER, "A-ASSOCIATE-RQ is cut off")
    titles = bytes(body[_TITLES])
    items = _known(bytes(body[_FIXED:]), _ITEMS)
    content = bytes(body[: _TITLES.start]) + _ANY_TITLE + bytes(body[_TITLES.stop : _FIXED]) + items
    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(HEADER.pack(ASSOCIATE_RQ, len(content)) + content)
        primitive = pdu.to_primitive()
        name = str(pdu.application_context_name)
        _check_contexts(primitive.presentation_context_definition_list)
    except _UNDECODABLE:
        raise ProtocolError(INVALID_PARAMETER, "A-ASSOCIATE-RQ cannot be read") from None
    return Request(
        called_ae_title=_title(titles[:16]),
        calling_ae_title=_title(titles[16:]),
        protocol_version=pdu.protocol_version,
        application_context_name=name,
        body=bytes(body),
        titles=titles,
        primitive=primitive,
    )


def _known(items: bytes, kinds: frozenset[int]) -> bytes:
    """Without the items of other kinds, which are to be skipped (PS3.8 9.3.1)."""
    kept = []
    at = 0
    while at + _ITEM.size <= len(items):
        kind, length = _ITEM.unpack_from(items, at)
        content = items[at + _ITEM.size : at + _ITEM.size + length]
        if len(content) != length:
            break  # it is cut off: the decoder says so
        if kind == _USER_INFORMATION:
            content = _known(content, _SUB_ITEMS)
        if kind in kinds:
            kept.append(_ITEM.pack(kind, len(content)) + content)
        at += _ITEM.size + length
    return b"".join((*kept, items[at:]))


def _title(raw: bytes) -> str | None:
    """Leading and trailing spaces mean nothing (PS3.8 Table 9-11); some pad with NUL instead."""
    stripped = raw.rstrip(b"\0").strip(b" ")
    if stripped and all(0x20 <= byte < 0x7F and byte != 0x5C for byte in stripped):
        return stripped.decode("ascii")
    return None


def _check_contexts(contexts: Sequence[PresentationContext]) -> None:
    """PS3.8 9.3.2.2: at least one, odd numbers, none twice, each with transfer syntaxes."""
    ids = [context.context_id for context in contexts]
    if not 0 < len(ids) <= _MAX_CONTEXTS or len(set(ids)) != len(ids):
        raise ValueError("presentation context IDs")
    for context in contexts:
        if not context.abstract_syntax or not context.transfer_syntax:
            raise ValueError("presentation context without syntaxes")


def supported_contexts(node: NodeSettings) -> list[PresentationContext]:
    """What this node takes, with the transfer syntaxes in the order in which it prefers them."""
    syntaxes = [uid for uid in ALL_TRANSFER_SYNTAXES if uid not in _PREFERRED]
    syntaxes = [
        uid
        for uid in (*_PREFERRED, *syntaxes)
        if (node.accept_deflated or uid not in DEFLATED) and (node.accept_video or uid not in VIDEO)
    ]
    classes = [
        str(context.abstract_syntax)
        for context in AllStoragePresentationContexts
        if not _APART.match(UID(str(context.abstract_syntax)).keyword)
    ]
    stored = [
        build_context(uid, syntaxes) for uid in dict.fromkeys((*classes, *node.accept_sop_classes))
    ]
    # a peer that was asked for commitment reports as the SCP (PS3.4 J.3.3, PS3.7 D.3.3.4)
    commitment = build_context(STORAGE_COMMITMENT)
    commitment.scu_role = commitment.scp_role = True
    return [build_context(VERIFICATION), commitment, *stored]


def contexts_for(
    may: Container[str], supported: Sequence[PresentationContext]
) -> list[PresentationContext]:
    """What is negotiated with one peer: notifications only where it may send them."""
    extra = NOTIFICATIONS if "notify" in may else ()
    return [*map(build_context, extra), *supported]


def accept(
    request: Request, supported: Sequence[PresentationContext], *, max_pdu: int
) -> tuple[Mapping[int, Context], bytes]:
    """The contexts in force, by their ID, and the A-ASSOCIATE-AC that says so."""
    roles = {
        UID(str(item.sop_class_uid)): (item.scu_role, item.scp_role)
        for item in request.primitive.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    }
    results, role_items = negotiate_as_acceptor(
        request.primitive.presentation_context_definition_list, list(supported), roles
    )
    answer = A_ASSOCIATE()
    answer.application_context_name = UID(request.application_context_name)
    answer.calling_ae_title = answer.called_ae_title = "ANY"
    answer.result, answer.result_source = 0, 1
    answer.presentation_context_definition_results_list = results
    answer.user_information = [*_user_information(request, max_pdu), *role_items]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    encoded = bytearray(pdu.encode())
    start = HEADER.size + _TITLES.start
    encoded[start : start + len(request.titles)] = request.titles
    accepted = {
        int(context.context_id): Context(
            abstract_syntax=str(context.abstract_syntax),
            transfer_syntax=context.transfer_syntax[0],
        )
        for context in results
        if context.result == 0 and context.context_id is not None
    }
    return accepted, bytes(encoded)


def _user_information(request: Request, max_pdu: int) -> list[UserInformation]:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    items: list[UserInformation] = [length, implementation, version]
    if request.parameter(AsynchronousOperationsWindowNegotiation):
        window = AsynchronousOperationsWindowNegotiation()  # one message at a time, each way
        window.maximum_number_operations_invoked = 1
        window.maximum_number_operations_performed = 1
        items.append(window)
    return items
