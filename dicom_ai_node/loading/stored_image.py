"""A stored file in two parts: its header, parsed by pydicom, and its pixel data, uncopied."""

import hashlib
import struct
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import data_of, read_deflated
from dicom_ai_node.loading.encapsulated import end_of_items
from dicom_ai_node.study import Instance

MAX_RATIO = 100  # of a deflated object to its file,
ALWAYS_INFLATED = 16 << 20  # but for small ones: a black image deflates to a thousandth
_PIXELS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_UNDEFINED = 0xFFFFFFFF
_CUT_OFF = "An image is cut off: its pixel data, or a sequence, has no end."
_NO_PIXELS = "An image of the series has no pixel data."


class Damaged(InputError):
    """A stored file is not what was received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """`pixels` is the value of `keyword`, a part of the file's bytes.

    `little_endian` is of the words in it; compressed streams have an order of their own.
    """

    header: Dataset
    syntax: UID
    keyword: str  # PixelData, FloatPixelData or DoubleFloatPixelData
    pixels: memoryview
    little_endian: bool


def read_image(instance: Instance, *, share: int, checked: bool = True) -> StoredImage:
    """The image, if its bytes still are what was acknowledged (P2).

    `share` is what it may take of the memory of the series; `checked=False` leaves out the
    checksum, for measuring what it costs.
    """
    content = instance.path.read_bytes()
    if checked and hashlib.sha256(data_of(content)).hexdigest() != instance.sha256:
        raise Damaged(
            "A stored image is damaged: its checksum differs. Have the node's disk checked."
        )
    try:
        if instance.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            limit = min(share, max(MAX_RATIO * len(content), ALWAYS_INFLATED))
            header, content, at = read_deflated(instance.path, content, limit=limit)
        else:
            file = BytesIO(content)
            header = pydicom.dcmread(file, stop_before_pixels=True)
            at = file.tell()
            header.buffer = None  # else the file's bytes live as long as the header
    except (InvalidDicomError, struct.error, EOFError) as error:
        raise InputError("A stored image is not readable DICOM.") from error
    if not header:  # pydicom keeps nothing of a data set in which an element has no end
        raise InputError(_CUT_OFF)
    return _with_pixels(header, content, at)


def _with_pixels(header: Dataset, content: bytes, at: int) -> StoredImage:
    """The element at which pydicom stopped reading (PS3.5 7.1)."""
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    try:
        group, element = struct.unpack_from(f"{order}HH", content, at)
        if implicit:
            (length,) = struct.unpack_from(f"{order}L", content, at + 4)
            begin = at + 8
        else:
            vr, length = struct.unpack_from(f"{order}2s2xL", content, at + 4)
            begin = at + 12
            if vr not in (b"OB", b"OW", b"OF", b"OD", b"UN"):
                raise InputError("PixelData is wrongly encoded in an image.")
    except struct.error as error:
        raise InputError(_NO_PIXELS) from error
    keyword = _PIXELS.get(group << 16 | element)
    if keyword is None:
        raise InputError(_NO_PIXELS)
    view = memoryview(content)
    end = begin + length if length != _UNDEFINED else end_of_items(view, begin)
    if end is None:
        raise InputError(_CUT_OFF)
    return StoredImage(
        header=header,
        syntax=UID(header.file_meta.TransferSyntaxUID),
        keyword=keyword,
        pixels=view[begin:end],
        little_endian=bool(little),
    )
