"""A stored file in two parts: its header, parsed by pydicom, and its pixel data, uncopied."""

import hashlib
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, UncompressedTransferSyntaxes

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import at_pixels_themselves, data_begins, data_of, read_deflated, words_of
from dicom_ai_node.loading.encapsulated import end_of_items
from dicom_ai_node.loading.flat_header import flat_header
from dicom_ai_node.loading.unread import Damaged, Unread, in_memory
from dicom_ai_node.study import Instance

MAX_RATIO = 100  # of a deflated object to its file,
ALWAYS_INFLATED = 16 << 20  # but for small ones: a black image deflates to a thousandth
_HEAD = 32 << 10  # bytes that are read of a file at once, until its pixels begin
_FIRST_GROUP = (b"\x08\0", b"\0\x08")  # of a data set: in little and in big endian
_LONGEST_TAG = 12  # bytes of tag, VR and length before the pixels
_PIXELS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_PLAIN = frozenset({*UncompressedTransferSyntaxes} - {DeflatedExplicitVRLittleEndian})
_UNDEFINED = 0xFFFFFFFF
_CUT_OFF = "An image is cut off: its pixel data, or a sequence, has no end."
_NO_PIXELS = "An image of the series has no pixel data."


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """`pixels` is the value of `keyword`, a part of the file's bytes.

    `little_endian` is of the words in it; compressed streams have an order of their own.
    """

    header: Dataset
    syntax: UID
    keyword: str  # PixelData, FloatPixelData or DoubleFloatPixelData
    pixels: memoryview | Unread
    little_endian: bool


def is_plain(instance: Instance) -> bool:
    """Whether its pixels lie in its file as they are: neither compressed nor deflated."""
    return instance.transfer_syntax_uid in _PLAIN


def read_image(instance: Instance, *, share: int, checked: bool = True) -> StoredImage:
    """The image. Its pixels are bytes that were acknowledged (P2), or Unread.

    `share` is what it may take of the memory of the series; `checked=False` leaves out the
    checksum, for measuring what it costs.
    """
    try:
        found = None
        if instance.transfer_syntax_uid != DeflatedExplicitVRLittleEndian:
            found = _from_file(instance, checked=checked)
        return found or _from_memory(instance, share=share, checked=checked)
    except (InvalidDicomError, struct.error, EOFError) as error:
        raise InputError("A stored image is not readable DICOM.") from error


def _from_file(instance: Instance, *, checked: bool) -> StoredImage | None:
    """None where nobody can tell by the file meta group where the data set begins."""
    meta = _file_meta(instance.transfer_syntax_uid)
    # as text, for pydicom puts it into its warnings
    with open(str(instance.path), "rb", buffering=_HEAD) as file:  # noqa: PTH123
        head = file.read(_HEAD)
        begins = data_begins(head)
        if head[begins : begins + 2] not in _FIRST_GROUP:
            return None
        header, at = _header(file, head, begins, meta.TransferSyntaxUID)
        if at + _LONGEST_TAG > len(head):
            file.seek(0)
            head = file.read(at + _LONGEST_TAG)
        size = os.fstat(file.fileno()).st_size
    header.file_meta = meta
    keyword, at, length = _place_of_pixels(header, head, at)
    pixels: memoryview | Unread = Unread(
        path=instance.path,
        begin=at,
        length=min(length, size - at),
        size=size,
        before=hashlib.sha256(head[begins:at]),
        sha256=instance.sha256 if checked else None,
    )
    if length == _UNDEFINED or not is_plain(instance) or not _has_one_frame(header):
        pixels = _defined(in_memory(pixels), length)
    return _image(header, keyword, pixels)


def _header(file: BinaryIO, head: bytes, begins: int, syntax: UID) -> tuple[Dataset, int]:
    """And where its pixels begin; `head` is what the file begins with."""
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    flat = flat_header(head, begins) if little and not implicit else None
    if flat is not None:
        return flat
    file.seek(begins)
    header = read_dataset(file, implicit, little, stop_when=at_pixels_themselves)
    return header, file.tell()


def _from_memory(instance: Instance, *, share: int, checked: bool) -> StoredImage:
    content = instance.path.read_bytes()
    if checked and hashlib.sha256(data_of(content)).hexdigest() != instance.sha256:
        raise Damaged
    if instance.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        limit = min(share, max(MAX_RATIO * len(content), ALWAYS_INFLATED))
        header, content, at = read_deflated(instance.path, content, limit=limit)
    else:
        file = BytesIO(content)
        header = pydicom.dcmread(file, stop_before_pixels=True)
        at = file.tell()
        header.buffer = None  # else the file's bytes live as long as the header
    keyword, at, length = _place_of_pixels(header, content, at)
    return _image(header, keyword, _defined(memoryview(content)[at:], length))


def _image(header: Dataset, keyword: str, pixels: memoryview | Unread) -> StoredImage:
    return StoredImage(
        header=header,
        syntax=header.file_meta.TransferSyntaxUID,
        keyword=keyword,
        pixels=pixels,
        little_endian=bool(header.original_encoding[1]),
    )


def _place_of_pixels(header: Dataset, content: bytes, at: int) -> tuple[str, int, int]:
    """Keyword, place and length of the element at which pydicom stopped reading (PS3.5 7.1)."""
    if not header:  # pydicom keeps nothing of a data set in which an element has no end
        raise InputError(_CUT_OFF)
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
    return keyword, begin, length


def _defined(content: memoryview, length: int) -> memoryview:
    """The pixel data with which the content begins, even where only its items end it."""
    end = length if length != _UNDEFINED else end_of_items(content, 0)
    if end is None:
        raise InputError(_CUT_OFF)
    return content[:end]


def _has_one_frame(header: Dataset) -> bool:
    return words_of(header, "NumberOfFrames") in ((), ("1",))


@lru_cache
def _file_meta(transfer_syntax_uid: str) -> FileMetaDataset:
    """One for all headers: nobody changes it."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    return meta
