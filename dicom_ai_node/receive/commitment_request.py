"""What an N-ACTION for storage commitment asks for, read from bytes that nobody vouches for."""

import struct
import zlib
from io import BytesIO

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from dicom_ai_node.database.commitments import Reference
from dicom_ai_node.receive.answer import ActionStatus
from dicom_ai_node.uids import is_uid

REQUEST_STORAGE_COMMITMENT = 1  # the only Action Type (PS3.4 J.3.2)
SOP_INSTANCE_UID = "1.2.840.10008.1.20.1.1"  # well-known: there is no other
MAX_BYTES = 4 << 20  # of a request's data set, inflated
MAX_REFERENCES = 20_000

_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # (FFFE,E000) in either byte order
_TAGS = [0x00081195, 0x00081199]  # Transaction UID, Referenced SOP Sequence
# what pydicom raises on bytes that no peer should send
_UNDECODABLE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error),
)


class Unacceptable(Exception):
    """A request that is not taken; the text names no value of it."""

    def __init__(self, status: ActionStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


def read_request(content: bytes, syntax: UID) -> tuple[str, tuple[Reference, ...]]:
    """Transaction UID and references of an N-ACTION's data set; raises Unacceptable."""
    content = _inflated(content) if syntax.is_deflated else content
    # an item is a data set in pydicom: a megabyte of empty ones would be a gigabyte
    if max(content.count(item) for item in _ITEMS) > MAX_REFERENCES:
        raise Unacceptable(ActionStatus.RESOURCE_LIMITATION, "too many references")
    try:
        ds = read_dataset(
            BytesIO(content), syntax.is_implicit_VR, syntax.is_little_endian, specific_tags=_TAGS
        )
        uid, references = str(ds.TransactionUID), tuple(map(_reference, ds.ReferencedSOPSequence))
    except _UNDECODABLE:
        raise Unacceptable(
            ActionStatus.INVALID_ARGUMENT_VALUE, "the data set cannot be read"
        ) from None
    if not references or not all(
        map(is_uid, (uid, *(each for pair in references for each in pair)))
    ):
        raise Unacceptable(ActionStatus.INVALID_ARGUMENT_VALUE, "a UID is missing or not valid")
    return uid, references


def _inflated(content: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(content, MAX_BYTES)
    except zlib.error:
        raise Unacceptable(
            ActionStatus.INVALID_ARGUMENT_VALUE, "the data set cannot be inflated"
        ) from None
    if inflater.unconsumed_tail:
        raise Unacceptable(ActionStatus.RESOURCE_LIMITATION, "the data set is too long")
    return inflated


def _reference(item: Dataset) -> Reference:
    return Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
