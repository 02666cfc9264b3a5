"""The data set of a normalised service's request, read from bytes that nobody vouches for."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from dicom_ai_node.receive.answer import ActionStatus, Answer, EventStatus, NotificationStatus

MAX_BYTES = 4 << 20  # of a request's data set, inflated
MAX_ITEMS = 20_000

_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # (FFFE,E000) in either byte order
TOO_LONG = Answer(ActionStatus.RESOURCE_LIMITATION, "the data set is too long")
# what pydicom raises on bytes that no peer should send
UNDECODABLE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error),
)


class Unacceptable(Exception):
    """A request that is not taken; the text names no value of it."""

    def __init__(self, status: ActionStatus | NotificationStatus | EventStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Collected:
    """The bytes of a data set while they come, as long as there are not too many."""

    def __init__(self) -> None:
        self._content = bytearray()
        self.is_too_long = False

    def feed(self, data: memoryview) -> None:
        if len(self._content) + len(data) > MAX_BYTES:
            self.is_too_long = True
            self._content.clear()
        if not self.is_too_long:
            self._content += data

    def take(self) -> bytes:
        return bytes(self._content)

    def drop(self) -> None:
        self._content.clear()


def read_attributes(
    content: bytes,
    syntax: UID,
    tags: Sequence[int],
    *,
    unreadable: ActionStatus
    | NotificationStatus
    | EventStatus = ActionStatus.INVALID_ARGUMENT_VALUE,
) -> Dataset:
    """These attributes of it, of which any may still raise UNDECODABLE; raises Unacceptable."""
    content = _inflated(content, unreadable) if syntax.is_deflated else content
    # an item is a data set in pydicom: a megabyte of empty ones would be a gigabyte
    if max(content.count(item) for item in _ITEMS) > MAX_ITEMS:
        raise Unacceptable(ActionStatus.RESOURCE_LIMITATION, "too many references")
    try:
        return read_dataset(
            BytesIO(content),
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            specific_tags=[*tags],
        )
    except UNDECODABLE:
        raise Unacceptable(unreadable, "the data set cannot be read") from None


def _inflated(content: bytes, unreadable: ActionStatus | NotificationStatus | EventStatus) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(content, MAX_BYTES)
    except zlib.error:
        raise Unacceptable(unreadable, "the data set cannot be inflated") from None
    if inflater.unconsumed_tail:
        raise Unacceptable(ActionStatus.RESOURCE_LIMITATION, "the data set is too long")
    return inflated
