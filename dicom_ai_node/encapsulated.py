"""Compressed pixel data in its items (PS3.5 A.4): the stream of the one frame that lies in it."""

import struct
from collections.abc import Sequence

from pydicom import Dataset

from dicom_ai_node.errors import InputError

ITEM = b"\xfe\xff\x00\xe0"  # the tag of each fragment
_END = b"\xfe\xff\xdd\xe0"


def one_frame(ds: Dataset, *, in_one_piece: bool) -> bytes:
    """All fragments put together; InputError where they or a table of offsets say otherwise.

    pydicom believes a table wherever there is one, and would take a part of the frame for all.
    `in_one_piece` is for streams in which nobody would notice that a fragment is missing.
    """
    basic, *fragments = _items(ds.PixelData)
    extended = ds.get("ExtendedOffsetTable")
    if not any(fragments) or not all(fragments):
        raise InputError("The compressed pixel data of an image is incomplete: it lacks fragments.")
    if basic and (basic != bytes(4) or extended is not None):
        raise InputError("The offset table of PixelData does not fit a single frame.")
    if in_one_piece and len(fragments) > 1:
        raise InputError(
            f"The compressed image is cut into {len(fragments)} fragments, which is not supported "
            "for its transfer syntax: a missing one could not be noticed."
        )
    if extended is not None:
        _check_extended(extended, ds.get("ExtendedOffsetTableLengths"), fragments)
    return b"".join(fragments)


def _items(value: bytes) -> list[bytes]:
    """The offset table and the fragments, which fill the value exactly."""
    found = []
    at = 0
    while at < len(value) and not value.startswith(_END, at):
        if not value.startswith(ITEM, at) or len(value) < at + 8:
            raise InputError("The compressed pixel data of an image is damaged between fragments.")
        (length,) = struct.unpack_from("<L", value, at + 4)
        at += 8 + length
        if at > len(value):
            raise InputError("The compressed pixel data of an image ends within a fragment.")
        found.append(value[at - length : at])
    return found or [b""]


def _check_extended(offsets: object, lengths: object, fragments: Sequence[bytes]) -> None:
    """One frame in one fragment (PS3.3 C.7.6.3.1.8), whose length may leave out its padding."""
    size = len(fragments[0])
    allowed = [struct.pack("<Q", size), struct.pack("<Q", size - 1)]
    if len(fragments) != 1 or offsets != bytes(8) or lengths not in allowed:
        raise InputError("ExtendedOffsetTable does not fit a single frame.")
