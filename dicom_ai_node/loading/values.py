"""Stored pixels become numbers in modality units (PS3.3 C.11.1): rescaled, padding taken out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import numbers_of
from dicom_ai_node.loading.frame_header import FrameHeader
from dicom_ai_node.loading.pixels import PixelFormat

Stored = NDArray[Any]  # integers or floats, as they lie in the file

_LARGEST = 1e30  # of slope and intercept: so no pixel of 32 bits leaves float32
_MUST_RESCALE = "CT"  # where the stored values mean nothing without (PS3.3 C.8.2.1, type 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """`padding` is a range of stored values, ends included, that are no part of the image."""

    slope: float
    intercept: float
    padding: tuple[int, int] | None = None
    inverted: bool = False


def transform_of(frame: FrameHeader, form: PixelFormat, *, inverted: bool = False) -> Transform:
    """InputError where the header leaves open how stored values become values (D18)."""
    given = [frame.has(keyword) for keyword in ("RescaleSlope", "RescaleIntercept")]
    slope, intercept = 1.0, 0.0
    if any(given):
        slopes, intercepts = frame.numbers("RescaleSlope"), frame.numbers("RescaleIntercept")
        if not slopes or not intercepts:
            missing = "RescaleIntercept" if slopes else "RescaleSlope"
            raise InputError(f"{missing} is missing or not a number in an image of the series.")
        slope, intercept = slopes[0], intercepts[0]
    elif frame.header.get("Modality") == _MUST_RESCALE and not frame.transformed:
        raise InputError("RescaleIntercept is missing in a CT image: its values are not known.")
    if not abs(slope) <= _LARGEST or not abs(intercept) <= _LARGEST:
        raise InputError("Pixel values are not finite after rescaling.")
    if slope == 0:
        raise InputError("RescaleSlope is 0 in an image of the series: all its values are one.")
    return Transform(
        slope=slope, intercept=intercept, padding=_padding(frame, form), inverted=inverted
    )


def fill(
    plane: NDArray[np.float32],
    stored: Stored,
    form: PixelFormat,
    transform: Transform,
) -> None:
    """`plane` in modality units; NaN where there is padding, until `without_padding`."""
    used = _used_bits(stored, form)
    if transform.inverted:
        np.subtract(form.lowest + form.highest, used, out=plane, dtype=np.float32)
    elif transform.slope != 1:
        np.multiply(used, np.float32(transform.slope), out=plane, dtype=np.float32)
    else:
        np.add(used, np.float32(transform.intercept), out=plane, dtype=np.float32)
    if transform.inverted and transform.slope != 1:
        plane *= np.float32(transform.slope)
    if transform.intercept and (transform.inverted or transform.slope != 1):
        plane += np.float32(transform.intercept)
    if transform.padding is not None:
        low, high = transform.padding
        within = form.lowest <= low and high <= form.highest
        source = used if within else stored
        padded = source == low if low == high else (source >= low) & (source <= high)
        if padded.any():
            plane[padded] = np.nan


def without_padding(array: NDArray[np.float32]) -> None:
    """Padding becomes the lowest value that is none.

    It is no measurement: -2000 HU around a field of view would draw a network's percentiles and
    the mean of a region. The lowest real value is what lies beyond a patient: air, or no signal.
    """
    lowest = np.fmin.reduce([np.fmin.reduce(plane, axis=None) for plane in array])
    if not np.isfinite(lowest):
        raise InputError("The images hold padding, and no pixel of an image.")
    for plane in array:
        padded = np.isnan(plane)
        if padded.any():
            plane[padded] = lowest


def _used_bits(stored: Stored, form: PixelFormat) -> Stored:
    """Without what lies above BitsStored: sign bits that were not extended, or old overlays."""
    unused = 8 * stored.dtype.itemsize - form.stored
    if form.floating or unused <= 0:
        return stored
    used: Stored = (stored << unused) >> unused
    return used


def _padding(frame: FrameHeader, form: PixelFormat) -> tuple[int, int] | None:
    """PS3.3 C.7.5.1.1.2; its VR is often that of the other sign, so only its bits count."""
    values = numbers_of(frame.header, "PixelPaddingValue")
    if not values or form.floating:
        return None
    limits = numbers_of(frame.header, "PixelPaddingRangeLimit") or values
    ends = [_as_stored(int(value), form) for value in (values[0], limits[0])]
    return min(ends), max(ends)


def _as_stored(value: int, form: PixelFormat) -> int:
    size = 1 << form.allocated
    value %= size
    return value - size if form.signed and value >= size // 2 else value
