"""Headers of stored files: some attributes, never pixels, never more of a file than is needed."""

import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

MAX_INFLATED = 1 << 20  # the head of a deflated object; the rest may be a bomb (P18)
_PREAMBLE = 132


def read_header(path: Path, keywords: Iterable[str]) -> Dataset:
    """The attributes named, as far as the file has them, from a Part 10 file of the spool."""
    meta = read_file_meta_info(path)
    tags = [tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None]
    if meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))
    with path.open("rb") as file:
        file.seek(dataset_offset(path))
        head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MAX_INFLATED)
    ds = pydicom.filereader.read_dataset(
        BytesIO(head),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag >= 0x7FE00008,
        specific_tags=[*tags],
    )
    ds.file_meta = meta
    return ds


def dataset_offset(path: Path) -> int:
    """Where the data set begins: after the preamble and the file meta group (PS3.10 7.1)."""
    with path.open("rb") as file:
        file.seek(_PREAMBLE)
        group_length = file.read(12)
    return _PREAMBLE + 12 + int.from_bytes(group_length[8:12], "little")


def values_of(ds: Dataset, keyword: str) -> tuple[str | int | float, ...]:
    """The values of an attribute; text where a value is not of its VR, () where there is none."""
    if keyword not in ds:
        return ()
    raw = ds.get_item(keyword)
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
