"""Command sets (PS3.7 6.3.1): group 0000 in Implicit VR Little Endian, and P-DATA around them."""

import struct
from collections.abc import Iterable, Iterator, Mapping

from dicom_ai_node.receive.wire import INVALID_PARAMETER, P_DATA, ProtocolError

# Command Field (0000,0100), PS3.7 E.1
C_STORE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0030, 0x0FFF
N_EVENT_REPORT_RQ, N_SET_RQ, N_ACTION_RQ, N_CREATE_RQ = 0x0100, 0x0120, 0x0130, 0x0140
RESPONSE = 0x8000
N_EVENT_REPORT_RSP = N_EVENT_REPORT_RQ | RESPONSE
NO_DATA_SET, DATA_SET = 0x0101, 0x0001

AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID = 0x0002, 0x0003
COMMAND_FIELD, MESSAGE_ID, MESSAGE_ID_RESPONDED_TO = 0x0100, 0x0110, 0x0120
COMMAND_DATA_SET_TYPE, STATUS, ERROR_COMMENT = 0x0800, 0x0900, 0x0902
AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID = 0x1000, 0x1001
EVENT_TYPE_ID, ACTION_TYPE_ID = 0x1002, 0x1008

MAX_COMMAND = 4096  # bytes of a command set; a C-STORE-RQ has about 200
_MAX_COMMENT = 64  # characters of an LO

_ELEMENT = struct.Struct("<HHL")
_SHORT = struct.Struct("<H")
_PDU_AND_PDV = struct.Struct(">BxLLBB")


class Command(Mapping[int, bytes]):
    """The elements of one command set by their number; raises ProtocolError where it has none."""

    def __init__(self, encoded: bytes) -> None:
        self._values: dict[int, bytes] = {}
        at, end = 0, len(encoded)
        while at < end:
            if end - at < _ELEMENT.size:
                raise ProtocolError(INVALID_PARAMETER, "the command set is cut off")
            group, element, length = _ELEMENT.unpack_from(encoded, at)
            at += _ELEMENT.size
            if group or at + length > end:
                raise ProtocolError(INVALID_PARAMETER, "this is no command set")
            self._values[element] = encoded[at : at + length]
            at += length

    def __getitem__(self, element: int) -> bytes:
        return self._values[element]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def number(self, element: int) -> int:
        value = self._values.get(element, b"")
        if len(value) != _SHORT.size:
            raise ProtocolError(INVALID_PARAMETER, f"no number in (0000,{element:04X})")
        return int(_SHORT.unpack(value)[0])

    def text(self, element: int) -> str:
        """A UID; what is not ASCII can equal no UID, and must not end the association."""
        value = self._values.get(element, b"")
        return value.rstrip(b"\0 ").decode("ascii", errors="replace")


def encode(elements: Iterable[tuple[int, int | str]]) -> bytes:
    """A command set of numbers, UIDs and texts, in ascending order, behind its group length."""
    content = b"".join(_element(element, value) for element, value in elements)
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(content)) + content


def _element(element: int, value: int | str) -> bytes:
    if isinstance(value, int):
        encoded = _SHORT.pack(value)
    else:
        encoded = value.encode("ascii", errors="replace")
        encoded += (b" " if element == ERROR_COMMENT else b"\0") * (len(encoded) % 2)
    return _ELEMENT.pack(0, element, len(encoded)) + encoded


def response(
    request: Command, status: int, *, comment: str = "", also: Iterable[tuple[int, int | str]] = ()
) -> bytes:
    """The command set that answers a request of any service (PS3.7 9.3 and 10.3)."""
    field = request.number(COMMAND_FIELD)
    sop_class, sop_instance = AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID
    if REQUESTED_SOP_CLASS_UID in request:
        sop_class, sop_instance = REQUESTED_SOP_CLASS_UID, REQUESTED_SOP_INSTANCE_UID
    elements: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: request.text(sop_class),
        COMMAND_FIELD: field | RESPONSE,
        MESSAGE_ID_RESPONDED_TO: request.number(MESSAGE_ID),
        COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        STATUS: status,
    }
    if comment:
        elements[ERROR_COMMENT] = comment[:_MAX_COMMENT]
    if sop_instance in request:
        elements[AFFECTED_SOP_INSTANCE_UID] = request.text(sop_instance)
    return encode(sorted({**elements, **dict(also)}.items()))


def pdus(context_id: int, encoded: bytes, *, is_command: bool, max_pdu: int) -> Iterator[bytes]:
    """P-DATA-TF PDUs, one fragment each, no longer than the peer takes (0: any length)."""
    room = max(max_pdu - 6, 1) if max_pdu else len(encoded)
    kind = 0x01 if is_command else 0x00
    for at in range(0, len(encoded), room):
        fragment = encoded[at : at + room]
        control = kind | (0x02 if at + room >= len(encoded) else 0x00)
        size = len(fragment) + 2
        yield _PDU_AND_PDV.pack(P_DATA, size + 4, size, context_id, control) + fragment
