"""Headers of stored files: some attributes, never pixels, never more of a file than is needed."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset, read_file_meta_info, read_partial
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEG2000MC,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from dicom_ai_node.errors import InputError
from dicom_ai_node.study import Values

# what pydicom raises for bytes that only begin like DICOM
DAMAGED = (
    *(ArithmeticError, AttributeError, BytesLengthException, EOFError, LookupError),
    *(NotImplementedError, TypeError, ValueError, struct.error),
)
MAX_INFLATED = 1 << 20  # the head of a deflated object; the rest may be a bomb (P18)
_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, JPEG2000MC, HTJ2K)
# what the text of a value becomes; other VRs need more than that
_MAKE: Mapping[str, Callable[[str], str | int | float]] = {
    **dict.fromkeys(("DS",), float),
    **dict.fromkeys(("IS",), int),
    **dict.fromkeys(("UI", "CS", "DA", "TM", "AS", "LO", "SH"), str.rstrip),
}
_PREAMBLE = 132
_BEGINNING = 144  # bytes of a file, which say where its data set begins
_PIXEL_GROUP = 0x7FE0
_FIRST_PIXELS = 0x0008  # FloatPixelData; then Double… and PixelData
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


def read_deflated(path: Path, content: bytes, *, limit: int) -> tuple[Dataset, bytes, int]:
    """The head of a deflated file, all of it inflated, and where in that its pixels begin.

    InputError where it is cut off, or grows beyond the limit.
    """
    whole = _inflated(content, limit + 1)
    if len(whole) > limit:
        raise InputError("A deflated image is far larger than its file: it may be made to do harm.")
    file = BytesIO(whole)
    ds = read_dataset(file, False, True, stop_when=at_pixels_themselves)
    ds.file_meta = read_file_meta_info(path)
    return ds, whole, file.tell()


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


def at_pixels_themselves(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    """Not at the tables before them."""
    return tag.group == _PIXEL_GROUP and tag.element >= _FIRST_PIXELS


def data_of(part10: bytes) -> memoryview:
    """The data set of a Part 10 file, uncopied."""
    return memoryview(part10)[data_begins(part10) :]


def data_begins(part10: bytes) -> int:
    """Behind the file meta group (PS3.10 7.1), whose first element says how long the rest is."""
    group_length = int.from_bytes(part10[_PREAMBLE + 8 : _PREAMBLE + 12], "little")
    return _PREAMBLE + 12 + group_length


def is_whole(path: Path, sha256: str) -> bool:
    """Whether the data set of a Part 10 file has this hash; False, too, where there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(data_begins(file.read(_BEGINNING)))
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def read_values(path: Path, keywords: Iterable[str]) -> Mapping[str, Values]:
    """The values of one file by keyword; what is absent or empty is left out."""
    wanted = frozenset(keywords)
    header = read_header(path, wanted)
    found: dict[str, Values] = {}
    for element in header.values():  # as they were read
        keyword = keyword_for_tag(element.tag)
        if keyword in wanted and (values := _quickly(element) or values_of(header, keyword)):
            found[keyword] = values
    return found


def _quickly(element: DataElement | RawDataElement) -> Values | None:
    """`values_of` for plain numbers and ASCII, in a third of its time; None for all else."""
    if not isinstance(element, RawDataElement) or not element.value:
        return None
    make = _MAKE.get(element.VR or dictionary_VR(element.tag))
    if make is None or not element.value.isascii() or b"\x1b" in element.value:
        return None
    texts = element.value.decode("ascii").rstrip("\0 ").split("\\")
    try:
        return tuple(make(text) for text in texts if text)
    except (ValueError, OverflowError):
        return None


def compressed_with_loss(said: object, transfer_syntax_uid: str | None) -> bool:
    """As LossyImageCompression says (PS3.3 C.7.6.1.1.5); where it is silent, as the syntax may."""
    text = str(said or "").strip()
    return text == "01" or (text != "00" and transfer_syntax_uid in _LOSSY)


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
    except (LookupError, ValueError, TypeError, OverflowError, NotImplementedError):
        content = raw.value if isinstance(raw, RawDataElement) else b""
        value = (content or b"").decode("latin-1").strip("\0 ")
    several = value if isinstance(value, (MultiValue, list)) else [value]
    return tuple(_plain(one) for one in several if one is not None and str(one) != "")


def numbers_of(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of a numeric attribute; () where there is none, or one of them is no number.

    As the bytes say, for pydicom's conversion of an attribute costs ten times as much.
    """
    tag = _tag(keyword)
    if tag not in ds:
        return ()
    raw = _raw(ds, tag)
    if raw is not None:
        vr = raw.VR or dictionary_VR(tag)
        content = raw.value or b""
        if vr in ("DS", "IS"):
            return _decimals(content)
        if vr == "US" and len(content) == 2:
            return (float(int.from_bytes(content, "little" if raw.is_little_endian else "big")),)
    values = values_of(ds, keyword)
    if any(isinstance(value, str) for value in values):
        return _decimals("\\".join(map(str, values)).encode())
    return tuple(float(value) for value in values)


def words_of(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a code string or a UID, as the bytes say; () where there is none."""
    tag = _tag(keyword)
    if tag not in ds:
        return ()
    raw = _raw(ds, tag)
    if raw is not None:
        return _words(raw.value or b"")
    return tuple(str(value) for value in values_of(ds, keyword))


def _raw(ds: Dataset, tag: BaseTag) -> RawDataElement | None:
    """None once somebody has looked at the value."""
    element = ds.get_item(tag, keep_deferred=True)
    return element if isinstance(element, RawDataElement) else None


@lru_cache(maxsize=1024)
def _tag(keyword: str) -> BaseTag:
    return BaseTag(tag_for_keyword(keyword) or 0)


@lru_cache(maxsize=8192)
def _decimals(content: bytes) -> tuple[float, ...]:
    text = content.strip(b"\0 ")
    if not text or b"_" in text:  # which Python would read
        return ()
    try:
        return tuple(float(part) for part in text.split(b"\\"))
    except ValueError:
        return ()


@lru_cache(maxsize=8192)
def _words(content: bytes) -> tuple[str, ...]:
    words = (part.strip("\0 ") for part in content.decode("latin-1").split("\\"))
    return tuple(words) if content.strip(b"\0 ") else ()


def _plain(value: object) -> str | int | float:
    if isinstance(value, float):
        return float(value)  # DSfloat and the like
    if isinstance(value, int):
        return int(value)
    return str(value)
