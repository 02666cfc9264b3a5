"""Where frames lie in the patient (LPS, mm), and whether they are one straight, even stack."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import words_of
from dicom_ai_node.loading.frame_header import FrameHeader
from dicom_ai_node.loading.phases import named_phases

# Scanners round positions: 0.07 mm on a spacing of 7 mm is normal, a missing slice is not.
SPACING_RTOL = 0.02
DRIFT_MM = 0.1  # of the slices within their planes: beyond it, they are sheared,
STRAIGHT_MM = 0.1  # in a straight line
DIRECTION_TOL = 1e-3  # of unit vectors, which are written with six decimals, or with four
LARGEST = 1e5  # of a position in mm: beyond is no patient
# attributes that make a plane, with their number of values (PS3.3 C.7.6.2)
_PLANE = {"ImageOrientationPatient": 6, "ImagePositionPatient": 3, "PixelSpacing": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """`order` sorts the frames into the volume's slices.

    `shifts` say how far each slice of it lies from the volume's origin within its plane, in mm
    along columns (down) and rows (right): all 0 but in a sheared stack, and never below 0.
    """

    order: NDArray[np.intp]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, float]
    spacing: float
    frame_of_reference_uid: str
    shifts: NDArray[np.float64]

    @property
    def sheared(self) -> bool:
        return bool(self.shifts.any())


def arrangement(frames: Sequence[FrameHeader]) -> Arrangement:
    """InputError, in words for a radiologist, where the frames are no stack."""
    found = {keyword: _table(frames, keyword, number) for keyword, number in _PLANE.items()}
    orientation, spacing = found["ImageOrientationPatient"], found["PixelSpacing"]
    _check_directions(orientation)
    if (spacing <= 0).any():
        raise InputError("PixelSpacing is not above 0 in an image of the series.")
    _check_one(np.ptp(orientation, axis=0).max() <= DIRECTION_TOL, "orientations")
    _check_one(np.ptp(spacing, axis=0).max() <= DIRECTION_TOL * spacing.min(), "pixel spacings")
    references = {words_of(frame.header, "FrameOfReferenceUID") for frame in frames}
    _check_one(len(references) == 1, "frames of reference")
    _check_phases(frames)
    if len(frames) < 2:
        raise InputError("The series has one slice; a volume needs more.")
    (reference,) = references
    if len(reference) != 1:
        raise InputError(
            "The images cannot be put together as a volume: they have no frame of reference."
        )
    return _stack(found["ImagePositionPatient"], orientation[0], spacing[0], reference[0], frames)


def _stack(
    positions: NDArray[np.float64],
    orientation: NDArray[np.float64],
    pixel_spacing: NDArray[np.float64],
    reference: str,
    frames: Sequence[FrameHeader],
) -> Arrangement:
    axes = orientation.reshape(2, 3)
    normal = np.cross(axes[0], axes[1])
    along = positions @ normal
    _check_even(along, frames)
    drift = _drift(positions, axes, along)
    sheared = float(np.ptp(drift, axis=0).max()) > DRIFT_MM
    if sheared:  # the slices as they would lie in a straight stack
        least = drift.min(axis=0)
        drift = drift - least
        positions = np.outer(along, normal) + least @ axes[::-1]
    try:
        spacing, index = hd.spatial.get_volume_positions(
            positions.tolist(), orientation.tolist(), rtol=SPACING_RTOL, perpendicular_tol=0.01
        )
    except ValueError as error:
        raise InputError("The images cannot be put together as a volume.") from error
    if spacing is None or index is None:
        raise InputError("The images cannot be put together as a volume.")
    order = np.argsort(index)
    return Arrangement(
        order=order,
        position=tuple(positions[order[0]].tolist()),
        orientation=tuple(orientation.tolist()),
        pixel_spacing=(float(pixel_spacing[0]), float(pixel_spacing[1])),
        spacing=float(spacing),
        frame_of_reference_uid=reference,
        shifts=drift[order] if sheared else np.zeros((len(order), 2)),
    )


def _table(frames: Sequence[FrameHeader], keyword: str, number: int) -> NDArray[np.float64]:
    """Frames × values; InputError where one is absent, or no number of a possible size."""
    rows = [frame.numbers(keyword) for frame in frames]
    if all(len(row) == number for row in rows):
        table = np.array(rows, float)
        if (np.abs(table) <= LARGEST).all():  # which NaN is not
            return table
    what = "a multi-frame object" if any(frame.groups for frame in frames) else "the series"
    raise InputError(f"{keyword} is missing or not a number in an image of {what}.")


def _check_directions(orientation: NDArray[np.float64]) -> None:
    rows, columns = orientation[:, :3], orientation[:, 3:]
    lengths = np.linalg.norm(orientation.reshape(-1, 2, 3), axis=2)
    askew = np.abs((rows * columns).sum(axis=1))
    if max(np.abs(lengths - 1).max(), askew.max()) > DIRECTION_TOL:
        raise InputError(
            "ImageOrientationPatient is wrong in an image of the series: its two directions must "
            "have the length 1 and a right angle between them."
        )


def _check_one(same: object, what: str) -> None:
    if not same:
        raise InputError(f"The series mixes images of several {what}.")


def _check_phases(frames: Sequence[FrameHeader]) -> None:
    """Even where they lie between each other, so that no position comes twice."""
    named = named_phases(frames, always=True)
    if named:
        raise InputError(
            f"The series holds more than one image of the same place: {named}. "
            "Send one of them as a series of its own."
        )


def _check_even(along: NDArray[np.float64], frames: Sequence[FrameHeader]) -> None:
    """One stack, evenly spaced: or the sentence that says what is wrong with it."""
    along = np.sort(along)
    gaps = np.diff(along)
    if (gaps < 1e-3).any():
        named = named_phases(frames)
        of_what = f" ({named})" if named else ""
        multi = " in a multi-frame object" if any(frame.groups for frame in frames) else ""
        raise InputError(
            f"Two images lie at the same position{multi}: the series holds more than one stack"
            f"{of_what}."
        )
    typical, largest = float(np.median(gaps)), float(gaps.max())
    if largest > 1.5 * typical:
        missing = int((np.rint(gaps / typical) - 1).clip(0).sum())
        where = float(along[int(gaps.argmax())])
        raise InputError(
            f"{missing} slice(s) are missing in the middle of the series "
            f"(a gap of {largest:.2f} mm at {where:.1f} mm where {typical:.2f} mm is usual)."
        )
    if float(np.abs(gaps - typical).max()) > SPACING_RTOL * typical + 1e-6:
        raise InputError(
            f"The slices are not evenly spaced ({gaps.min():.2f} to {largest:.2f} mm)."
        )


def _drift(
    positions: NDArray[np.float64], axes: NDArray[np.float64], along: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of each frame within its plane, in mm down and right; InputError where no line fits it.

    A tilted gantry moves each slice by as much as the one before (PS3.3 C.7.6.2 allows it).
    """
    drift: NDArray[np.float64] = positions @ axes[::-1].T
    if float(np.ptp(drift, axis=0).max()) <= DRIFT_MM:
        return drift
    line = np.polynomial.polynomial.polyfit(along, drift, 1)
    straight = np.asarray(np.polynomial.polynomial.polyval(along, line).T, np.float64)
    if float(np.abs(drift - straight).max()) > STRAIGHT_MM:
        raise InputError("The slices do not lie one behind the other, nor in any straight line.")
    return straight
