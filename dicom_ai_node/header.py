"""Headers of stored files: some attributes, never pixels, never more of a file than is needed."""

import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset, read_file_meta_info, read_partial
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_ai_node.errors import InputError

MAX_INFLATED = 1 << 20  # the head of a deflated object; the rest may be a bomb (P18)
_PREAMBLE = 132
_PIXEL_GROUP = 0x7FE0
# PE, ELF, and Mach-O of either byte order, for one machine or several; "II" and "MM\0*" are TIFF's
_PROGRAMS = (
    *(b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"),
    *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
    *(b"\xbe\xba\xfe\xca", b"\xbf\xba\xfe\xca"),
)


def read_header(path: Path, keywords: Iterable[str]) -> Dataset:
    """The attributes named, as far as the file has them, from a Part 10 file."""
    tags = [tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None]
    last = max(tags, default=0)

    def beyond(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return int(tag) > last

    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        with path.open("rb") as file:
            return read_partial(file, stop_when=beyond, specific_tags=[*tags])
    head = _inflated(path.read_bytes(), MAX_INFLATED)
    ds = read_dataset(BytesIO(head), False, True, stop_when=beyond, specific_tags=[*tags])
    ds.file_meta = meta
    return ds


def read_head(path: Path) -> Dataset:
    """All that stands before the pixels; of a deflated file, as far as its head goes."""
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return dcmread(path, stop_before_pixels=True)
    head = _inflated(path.read_bytes(), MAX_INFLATED)
    ds = read_dataset(BytesIO(head), False, True, stop_when=_at_pixels)
    ds.file_meta = meta
    return ds


def read_deflated(path: Path, content: bytes, *, limit: int) -> Dataset:
    """All of a deflated file; InputError where it is cut off, or grows beyond the limit."""
    whole = _inflated(content, limit + 1)
    if len(whole) > limit:
        raise InputError("A deflated image is far larger than its file: it may be made to do harm.")
    ds = read_dataset(BytesIO(whole), False, True)
    ds.file_meta = read_file_meta_info(path)
    return ds


def _inflated(part10: bytes, limit: int) -> bytes:
    """The data set up to so many bytes, and no memory for more (P18)."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflate.decompress(data_of(part10), limit)
    except zlib.error as error:
        raise InputError("A deflated image is damaged.") from error
    if len(found) < limit and not inflate.eof:
        raise InputError("A deflated image is cut off.")
    return found


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group == _PIXEL_GROUP


def data_of(part10: bytes) -> memoryview:
    """The data set of a Part 10 file, uncopied: what follows the file meta group (PS3.10 7.1)."""
    group_length = int.from_bytes(part10[_PREAMBLE + 8 : _PREAMBLE + 12], "little")
    return memoryview(part10)[_PREAMBLE + 12 + group_length :]


def is_program(beginning: bytes) -> bool:
    """A DICOM file may begin with anything, and so be a program as well (PS3.10 7.1, 7.5)."""
    return beginning.startswith(_PROGRAMS)


def values_of(ds: Dataset, keyword: str) -> tuple[str | int | float, ...]:
    """The values of an attribute; text where a value is not of its VR, () where there is none."""
    if keyword not in ds:
        return ()
    raw = ds.get_item(keyword, keep_deferred=True)  # an empty one counts as deferred
    try:
        value = ds[keyword].value
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        content = raw.value if isinstance(raw, RawDataElement) else b""
        value = (content or b"").decode("latin-1").strip("\0 ")
    several = value if isinstance(value, (MultiValue, list)) else [value]
    return tuple(_plain(one) for one in several if one is not None and str(one) != "")


def _plain(value: object) -> str | int | float:
    if isinstance(value, float):
        return float(value)  # DSfloat and the like
    if isinstance(value, int):
        return int(value)
    return str(value)
