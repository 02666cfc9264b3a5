"""Pixel data against the header that describes it, told without decoding any of it."""

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import JPEGTransferSyntaxes, RLELossless, UncompressedTransferSyntaxes

from dicom_ai_node.codestream import Head, check_rle, head
from dicom_ai_node.encapsulated import ITEM, one_frame
from dicom_ai_node.errors import InputError

# by which bytes become pixels: US in PS3.3 C.7.6.3, and nothing else
_DESCRIBING = tuple(
    BaseTag(tag_for_keyword(keyword) or 0)
    for keyword in (
        *("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
        "PixelRepresentation",
    )
)
# a JPEG scan does not say how long it is, and a decoder fills up what is missing; RLE has one
# fragment a frame in any case (PS3.5 A.4.2)
_UNCOUNTED = (*JPEGTransferSyntaxes, RLELossless)


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


def check_pixels(ds: Dataset) -> None:
    """InputError where decoding would have to believe one of two that disagree.

    A decoder makes an image of the size that the stream says, however small the stream is.
    """
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax in UncompressedTransferSyntaxes:
        if ds.get("PixelData"):
            _check_length(ds)
        return
    if not ds.get("PixelData"):
        raise InputError("The images have no PixelData, and their transfer syntax is for no other.")
    stream = one_frame(ds, in_one_piece=syntax in _UNCOUNTED)
    if syntax == RLELossless:
        pixels = _number(ds, "Rows") * _number(ds, "Columns")
        planes = _number(ds, "SamplesPerPixel") * _number(ds, "BitsAllocated") // 8
        check_rle(stream, pixels=pixels, planes=planes)
    else:
        _compare(ds, head(syntax, stream))


def _check_length(ds: Dataset) -> None:
    """Padding is common; anything else behind the frame means that it is not the frame."""
    bits = _number(ds, "Rows") * _number(ds, "Columns") * _number(ds, "BitsAllocated")
    length = (bits * _number(ds, "SamplesPerPixel") + 7) // 8
    value = ds.PixelData
    encapsulated = len(value) != length and value.startswith(ITEM)
    if len(value) < length or value[length + length % 2 :].strip(b"\0") or encapsulated:
        raise InputError(
            "PixelData does not have the length that Rows, Columns and BitsAllocated say."
        )


def _compare(ds: Dataset, found: Head) -> None:
    rows, columns = _number(ds, "Rows"), _number(ds, "Columns")
    samples = _number(ds, "SamplesPerPixel")
    stored, allocated = _number(ds, "BitsStored"), _number(ds, "BitsAllocated")
    if (found.rows, found.columns) != (rows, columns):
        raise InputError(
            f"The compressed image has {found.rows} × {found.columns} pixels, "
            f"where Rows and Columns say {rows} × {columns}."
        )
    if found.samples != samples:
        raise InputError(
            f"The compressed image has {found.samples} components, "
            f"where SamplesPerPixel says {samples}."
        )
    if not stored <= found.bits <= allocated:  # encoders may write all that is allocated
        raise InputError(
            f"The compressed image has {found.bits} bits, "
            f"where BitsStored says {stored} and BitsAllocated {allocated}."
        )
    signed = bool(_number(ds, "PixelRepresentation"))
    if found.signed not in (None, signed) and found.bits != stored:  # else the sign bit is certain
        raise InputError(
            "The compressed image and PixelRepresentation disagree about negative values."
        )


def _number(ds: Dataset, keyword: str) -> int:
    value = ds.get(keyword)
    if not isinstance(value, int):
        raise InputError(f"{keyword} is missing or not a number in an image of the series.")
    return value
