"""Stored instances become a ModelInput, or an InputError that a radiologist understands."""

import hashlib
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import data_of, read_deflated, read_head
from dicom_ai_node.input import ModelInput
from dicom_ai_node.pixels import check_pixels, check_types
from dicom_ai_node.stack import stack
from dicom_ai_node.study import Instance

# of the float32 volume, known before anything is decoded; and of the files (P18)
MAX_VOXEL_BYTES = 2 << 30
MAX_RATIO = 100  # of a deflated object to its file,
ALWAYS_INFLATED = 16 << 20  # but for small ones: a black image deflates to a thousandth
LARGEST = 1e5  # of a position in mm, or a number of rows: beyond is no patient
READERS = 4  # threads; reading and hashing leave the interpreter free
# attributes that make a plane, with their number of values (PS3.3 C.7.6.2, C.7.6.3)
_GEOMETRY = {
    "Rows": 1,
    "Columns": 1,
    "ImageOrientationPatient": 6,
    "ImagePositionPatient": 3,
    "PixelSpacing": 2,
}
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class Damaged(InputError):
    """A stored file is not what was received."""


def load_headers(instances: Sequence[Instance]) -> list[Dataset]:
    """Headers for a report on a study that is not analysed: nothing is checked, nothing decoded."""
    return [read_head(instance.path) for instance in instances]


def load(instances: Sequence[Instance]) -> ModelInput:
    """One series as one regular volume; whatever is no such thing is refused, never guessed at."""
    if sum(instance.path.stat().st_size for instance in instances) > MAX_VOXEL_BYTES:
        raise InputError("The files of the series are larger than the limit of 2 GiB.")
    share = MAX_VOXEL_BYTES // max(2, len(instances))
    with ThreadPoolExecutor(READERS) as pool:
        headers = list(pool.map(partial(_read, share=share), instances))
    try:
        _check(headers)
    except NotImplementedError as error:  # pydicom's, at the first look at such an element
        raise InputError("An image has an element of an unknown value representation.") from error
    volume = stack(headers)
    for header in headers:
        for keyword in _PIXELS:
            header.pop(keyword, None)
    return ModelInput(headers=headers, volume=volume)


def _read(instance: Instance, *, share: int) -> Dataset:
    """The data set, if its bytes still are what was acknowledged (P2).

    `share` is what it may take of the memory of the series.
    """
    content = instance.path.read_bytes()
    if hashlib.sha256(data_of(content)).hexdigest() != instance.sha256:
        raise Damaged(
            "A stored image is damaged: its checksum differs. Have the node's disk checked."
        )
    try:
        if instance.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            limit = min(share, max(MAX_RATIO * len(content), ALWAYS_INFLATED))
            ds = read_deflated(instance.path, content, limit=limit)
        else:
            ds = pydicom.dcmread(BytesIO(content))
    except (InvalidDicomError, struct.error) as error:
        raise InputError("A stored image is not readable DICOM.") from error
    if not ds:  # pydicom keeps nothing of a data set in which an element has no end
        raise InputError("An image is cut off: its pixel data, or a sequence, has no end.")
    return ds


def _check(headers: Sequence[Dataset]) -> None:
    for header in headers:
        check_types(header)
    _check_geometry(headers)
    for header in headers:
        check_pixels(header)


def _check_geometry(headers: Sequence[Dataset]) -> None:
    """What can be told from headers alone, before memory is spent on pixels."""
    if any(str(header.get("NumberOfFrames") or 1) != "1" for header in headers):
        raise InputError("This is a multi-frame object, which is not supported yet.")
    if not all(any(header.get(keyword) for keyword in _PIXELS) for header in headers):
        raise InputError("An image of the series has no pixel data.")
    for header in headers:
        _check_grey(header)
    for keyword, number in _GEOMETRY.items():
        if not all(_finite(header, keyword, number) for header in headers):
            raise InputError(f"{keyword} is missing or not a number in an image of the series.")
    for keywords, what in (
        (("Rows", "Columns"), "sizes"),
        (("ImageOrientationPatient",), "orientations"),
        (("PixelSpacing",), "pixel spacings"),
        (("FrameOfReferenceUID",), "frames of reference"),
    ):
        if len({_rounded(header, keywords) for header in headers}) > 1:
            raise InputError(f"The series mixes images of several {what}.")
    if len(headers) < 2:
        raise InputError("The series has one slice; a volume needs more.")
    if int(headers[0].Rows) * int(headers[0].Columns) * len(headers) * 4 > MAX_VOXEL_BYTES:
        raise InputError("The series is larger than the limit of 2 GiB of voxels.")


def _check_grey(header: Dataset) -> None:
    """MONOCHROME1 only says how to display: Hounsfield units stay what they are (D23)."""
    shown = header.get("PhotometricInterpretation")
    if header.get("SamplesPerPixel", 1) != 1 or shown not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputError(f"The images are not grey values ({shown or 'not said'}).")
    if shown == "MONOCHROME1" and header.get("Modality") != "CT":
        raise InputError("The images are stored inverted (MONOCHROME1), which is not supported.")


def _finite(header: Dataset, keyword: str, number: int) -> bool:
    """True when the attribute has so many values, and each is a number of a possible size."""
    try:
        value = header.get(keyword)
        values = [float(v) for v in (value if isinstance(value, MultiValue) else [value])]
    except (ValueError, TypeError, OverflowError):
        return False
    return len(values) == number and all(abs(v) <= LARGEST for v in values)


def _rounded(header: Dataset, keywords: Sequence[str]) -> tuple[object, ...]:
    """Comparable values; directions and spacings are equal to four decimals."""
    values: list[object] = []
    for keyword in keywords:
        value = header.get(keyword)
        several = value if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
        values += [round(v, 4) if isinstance(v, float) else v for v in several]
    return tuple(values)
