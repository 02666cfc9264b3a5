"""Pixel data against the header that describes it, told without decoding any of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import JPEGTransferSyntaxes, RLELossless, UncompressedTransferSyntaxes

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import numbers_of
from dicom_ai_node.loading.codestream import Head, check_rle, head
from dicom_ai_node.loading.encapsulated import ITEM, frames_of
from dicom_ai_node.loading.stored_image import StoredImage
from dicom_ai_node.loading.unread import Unread, in_memory

# by which bytes become pixels: US in PS3.3 C.7.6.3, and nothing else
_DESCRIBING = tuple(
    BaseTag(tag_for_keyword(keyword) or 0)
    for keyword in (
        *("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
        "PixelRepresentation",
    )
)
_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
# a JPEG scan does not say how long it is, and a decoder fills up what is missing; RLE has one
# fragment a frame in any case (PS3.5 A.4.2)
_UNCOUNTED = (*JPEGTransferSyntaxes, RLELossless)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How the bytes of one grey frame become numbers (PS3.3 C.7.6.3, C.7.6.24)."""

    rows: int
    columns: int
    allocated: int
    stored: int
    signed: bool
    floating: bool = False

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.allocated // 8

    @property
    def lowest(self) -> int:
        """The lowest number that can be stored."""
        return -(1 << (self.stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        return (1 << (self.stored - self.signed)) - 1


def check_types(ds: Dataset) -> None:
    """As it was read, before a value is looked at: readers differ in what they make of the rest."""
    for tag in _DESCRIBING:
        if tag not in ds:
            continue
        element = ds.get_item(tag, keep_deferred=True)
        value = element.value if isinstance(element, RawDataElement) else None
        if element.VR not in (None, "US") or len(value or b"\0\0") != 2:
            keyword = keyword_for_tag(tag)
            raise InputError(
                f"{keyword} is wrongly encoded in an image: it must be one number of the type US."
            )


def pixel_format(image: StoredImage) -> PixelFormat:
    """InputError where the numbers contradict each other (D19)."""
    ds = image.header
    rows, columns = _number(ds, "Rows"), _number(ds, "Columns")
    allocated = _number(ds, "BitsAllocated")
    if image.keyword in _FLOATS:
        if allocated != _FLOATS[image.keyword]:
            raise InputError(f"BitsAllocated is {allocated}, which {image.keyword} cannot have.")
        return PixelFormat(
            rows=rows, columns=columns, allocated=allocated, stored=allocated, signed=True,
            floating=True,
        )  # fmt: skip
    stored, representation = _number(ds, "BitsStored"), _number(ds, "PixelRepresentation")
    high = int((numbers_of(ds, "HighBit") or (stored - 1,))[0])
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or high != stored - 1:
        raise InputError(
            f"BitsAllocated {allocated}, BitsStored {stored} and HighBit {high} "
            "do not go together in an image."
        )
    if representation not in (0, 1):
        raise InputError("PixelRepresentation is neither 0 nor 1 in an image.")
    return PixelFormat(
        rows=rows, columns=columns, allocated=allocated, stored=stored, signed=bool(representation)
    )


def streams_of(image: StoredImage, form: PixelFormat, frames: int) -> list[memoryview | Unread]:
    """The bytes of each frame; InputError where decoding would believe one of two that disagree.

    A decoder makes an image of the size that the stream says, however small the stream is.
    """
    if image.syntax in UncompressedTransferSyntaxes:
        _check_length(image, form, frames)
        if isinstance(image.pixels, Unread):
            return [image.pixels]
        size = form.frame_bytes
        return [image.pixels[index * size : (index + 1) * size] for index in range(frames)]
    if image.keyword != "PixelData":
        raise InputError("The images have no PixelData, and their transfer syntax is for no other.")
    streams = frames_of(
        in_memory(image.pixels),
        frames,
        in_one_piece=image.syntax in _UNCOUNTED,
        extended=image.header.get("ExtendedOffsetTable"),
        lengths=image.header.get("ExtendedOffsetTableLengths"),
    )
    for stream in streams:
        if image.syntax == RLELossless:
            check_rle(stream, pixels=form.rows * form.columns, planes=form.allocated // 8)
        else:
            _compare(form, head(image.syntax, stream))
    return [memoryview(stream) for stream in streams]


def _check_length(image: StoredImage, form: PixelFormat, frames: int) -> None:
    """Padding is common; anything else behind the frames means that they are not the frames."""
    length = frames * form.frame_bytes
    if isinstance(image.pixels, Unread) and image.pixels.length == length:
        return
    value = in_memory(image.pixels)
    encapsulated = len(value) != length and value[:4] == ITEM
    rest = bytes(value[length + length % 2 :])
    if len(value) < length or rest.strip(b"\0") or encapsulated:
        raise InputError(
            "PixelData does not have the length that Rows, Columns and BitsAllocated say."
        )


def _compare(form: PixelFormat, found: Head) -> None:
    if (found.rows, found.columns) != (form.rows, form.columns):
        raise InputError(
            f"The compressed image has {found.rows} × {found.columns} pixels, "
            f"where Rows and Columns say {form.rows} × {form.columns}."
        )
    if found.samples != 1:
        raise InputError(
            f"The compressed image has {found.samples} components, where SamplesPerPixel says 1."
        )
    if not form.stored <= found.bits <= form.allocated:  # encoders may write all that is allocated
        raise InputError(
            f"The compressed image has {found.bits} bits, "
            f"where BitsStored says {form.stored} and BitsAllocated {form.allocated}."
        )
    # where not all bits are used, the sign bit is certain only in a stream of as many
    if found.signed not in (None, form.signed) and found.bits != form.stored:
        raise InputError(
            "The compressed image and PixelRepresentation disagree about negative values."
        )


def check_same(formats: Sequence[PixelFormat]) -> None:
    """InputError where frames of a series differ in size or in sign."""
    if len({(form.rows, form.columns) for form in formats}) > 1:
        raise InputError("The series mixes images of several sizes.")
    if len({form.signed for form in formats}) > 1:
        raise InputError("The series mixes images of signed and of unsigned pixels.")


def _number(ds: Dataset, keyword: str) -> int:
    values = numbers_of(ds, keyword)
    if len(values) != 1:
        raise InputError(f"{keyword} is missing or not a number in an image of the series.")
    return int(values[0])
