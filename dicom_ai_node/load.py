"""Stored instances become a ModelInput, or an InputError that a radiologist understands."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from math import isfinite

import highdicom as hd
import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import dataset_offset
from dicom_ai_node.input import ModelInput
from dicom_ai_node.study import Instance

MAX_VOXEL_BYTES = (
    2 << 30
)  # of the float32 volume (GUARANTEES P18), known before anything is decoded
# Scanners round positions: 0.07 mm on a spacing of 7 mm is normal, a missing slice is not.
SPACING_RTOL = 0.02
PERPENDICULAR_TOL = 0.01  # of the slice direction to the image planes
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
    return [pydicom.dcmread(instance.path, stop_before_pixels=True) for instance in instances]


def load(instances: Sequence[Instance]) -> ModelInput:
    """One series as one regular volume; whatever is no such thing is refused, never guessed at."""
    headers = [_read(instance) for instance in instances]
    _check_geometry(headers)
    try:
        volume = hd.get_volume_from_series(
            headers, dtype=np.float32, rtol=SPACING_RTOL, perpendicular_tol=PERPENDICULAR_TOL
        )
    except (ValueError, AttributeError, RuntimeError) as error:
        raise InputError(_plain_reason(headers, error)) from error
    if not np.isfinite(volume.array).all():
        raise InputError("Pixel values are not finite after rescaling.")
    for header in headers:
        for keyword in _PIXELS:
            header.pop(keyword, None)
    return ModelInput(headers=headers, volume=volume)


def _read(instance: Instance) -> Dataset:
    """The data set, if its bytes still are what was acknowledged (P2)."""
    content = instance.path.read_bytes()
    offset = dataset_offset(instance.path)
    if hashlib.sha256(memoryview(content)[offset:]).hexdigest() != instance.sha256:
        raise Damaged("A stored image is damaged: its checksum differs. Send the study again.")
    try:
        return pydicom.dcmread(BytesIO(content))
    except InvalidDicomError as error:
        raise InputError("A stored image is not readable DICOM.") from error


def _check_geometry(headers: Sequence[Dataset]) -> None:
    """What can be told from headers alone, before memory is spent on pixels."""
    if any(int(header.get("NumberOfFrames") or 1) > 1 for header in headers):
        raise InputError("This is a multi-frame object, which is not supported yet.")
    if not all(any(keyword in header for keyword in _PIXELS) for header in headers):
        raise InputError("An image of the series has no pixel data.")
    if any(header.get("SamplesPerPixel", 1) != 1 for header in headers):
        raise InputError("The images are in colour.")
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


def _finite(header: Dataset, keyword: str, number: int) -> bool:
    """True when the attribute has so many values, and each is a number."""
    value = header.get(keyword)
    try:
        values = [float(v) for v in (value if isinstance(value, MultiValue) else [value])]
    except (ValueError, TypeError, OverflowError):
        return False
    return len(values) == number and all(isfinite(v) for v in values)


def _rounded(header: Dataset, keywords: Sequence[str]) -> tuple[object, ...]:
    """Comparable values; directions and spacings are equal to four decimals."""
    values: list[object] = []
    for keyword in keywords:
        value = header.get(keyword)
        several = value if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
        values += [round(v, 4) if isinstance(v, float) else v for v in several]
    return tuple(values)


def _plain_reason(headers: Sequence[Dataset], error: Exception) -> str:
    """highdicom says that the slices are no regular volume; this says what is wrong with them."""
    orientation = np.array(headers[0].ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    positions = np.array([header.ImagePositionPatient for header in headers], float)
    along = np.sort(positions @ normal)
    gaps = np.diff(along)
    if (gaps < 1e-3).any():
        return "Two images lie at the same position: the series holds more than one stack."
    typical = float(np.median(gaps))
    largest = float(gaps.max())
    if largest > 1.5 * typical:
        missing = round(largest / typical) - 1
        where = float(along[int(gaps.argmax())])
        return (
            f"{missing} slice(s) are missing in the middle of the series "
            f"(a gap of {largest:.2f} mm at {where:.1f} mm where {typical:.2f} mm is usual)."
        )
    if largest - float(gaps.min()) > SPACING_RTOL * typical:
        return f"The slices are not evenly spaced ({gaps.min():.2f} to {largest:.2f} mm)."
    drift = positions - np.outer(positions @ normal, normal)
    if float(np.ptp(drift, axis=0).max()) > 1.0:
        return "The slices are sheared (gantry tilt), which is not supported yet."
    return f"The images cannot be put together as a volume ({type(error).__name__})."
