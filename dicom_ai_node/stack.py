"""Slices of one series put together as a volume: highdicom judges the geometry, fast."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import pixel_array

from dicom_ai_node.errors import InputError

# Scanners round positions: 0.07 mm on a spacing of 7 mm is normal, a missing slice is not.
SPACING_RTOL = 0.02
DRIFT_MM = 0.1  # of the slices within their planes, from the first to the last
DECODERS = 4  # threads; decoders and copies of pixels leave the interpreter free

# attributes by which pixels become values in ways that highdicom knows and `_plain` does not
_TRANSFORMED = ("ModalityLUTSequence", "RealWorldValueMappingSequence")


def stack(headers: Sequence[Dataset]) -> hd.Volume:
    """Equal to `hd.get_volume_from_series`, as float32 in modality units, in a third of its time.

    `headers` have pixels, and agree in size, orientation, pixel spacing and frame of reference.
    """
    orientation = [float(v) for v in headers[0].ImageOrientationPatient]
    positions = np.array([header.ImagePositionPatient for header in headers], float)
    _check_regular(positions, np.array(orientation).reshape(2, 3))
    try:
        spacing, index = hd.spatial.get_volume_positions(
            positions.tolist(), orientation, rtol=SPACING_RTOL, perpendicular_tol=0.01
        )
        if spacing is None or index is None:
            raise InputError("The images cannot be put together as a volume.")
        ordered = [headers[i] for i in np.argsort(index)]
        return hd.Volume.from_attributes(
            array=_values(ordered),
            image_position=[float(v) for v in ordered[0].ImagePositionPatient],
            image_orientation=orientation,
            pixel_spacing=[float(v) for v in headers[0].PixelSpacing],
            spacing_between_slices=spacing,
            coordinate_system="PATIENT",
            frame_of_reference_uid=headers[0].FrameOfReferenceUID,
        )
    except (ValueError, AttributeError, RuntimeError) as error:
        kind = type(error).__name__
        raise InputError(f"The images cannot be put together as a volume ({kind}).") from error


def _check_regular(positions: NDArray[np.float64], axes: NDArray[np.float64]) -> None:
    """One stack, evenly spaced, straight: or the sentence that says what is wrong with it."""
    along = np.sort(positions @ np.cross(axes[0], axes[1]))
    gaps = np.diff(along)
    if (gaps < 1e-3).any():
        raise InputError(
            "Two images lie at the same position: the series holds more than one stack."
        )
    typical, largest = float(np.median(gaps)), float(gaps.max())
    if largest > 1.5 * typical:
        missing = round(largest / typical) - 1
        where = float(along[int(gaps.argmax())])
        raise InputError(
            f"{missing} slice(s) are missing in the middle of the series "
            f"(a gap of {largest:.2f} mm at {where:.1f} mm where {typical:.2f} mm is usual)."
        )
    if float(np.abs(gaps - typical).max()) > SPACING_RTOL * typical + 1e-6:
        raise InputError(
            f"The slices are not evenly spaced ({gaps.min():.2f} to {largest:.2f} mm)."
        )
    if float(np.ptp(positions @ axes.T, axis=0).max()) > DRIFT_MM:
        raise InputError("The slices are sheared (gantry tilt), which is not supported yet.")


def _values(ordered: Sequence[Dataset]) -> NDArray[np.float32]:
    """Slices × rows × columns, in modality units (PS3.3 C.11.1)."""
    first = ordered[0]
    array = np.empty((len(ordered), first.Rows, first.Columns), np.float32)

    def fill_and_check(index: int) -> bool:
        try:
            _fill(array[index], ordered[index])
        except (ValueError, AttributeError, RuntimeError) as error:
            kind = type(error).__name__
            raise InputError(f"The pixel data of an image cannot be decoded ({kind}).") from error
        return bool(np.isfinite(array[index]).all())

    with ThreadPoolExecutor(DECODERS) as pool:
        if not all(pool.map(fill_and_check, range(len(ordered)))):
            raise InputError("Pixel values are not finite after rescaling.")
    return array


def _fill(plane: NDArray[np.float32], ds: Dataset) -> None:
    if any(keyword in ds for keyword in _TRANSFORMED):
        image = hd.Image.from_dataset(ds, copy=False)
        plane[:] = image.get_frame(1, dtype=np.float32, apply_presentation_lut=False)
        return
    slope, intercept = ds.get("RescaleSlope"), ds.get("RescaleIntercept")
    plane[:] = pixel_array(ds)
    if slope is not None and intercept is not None:
        plane *= np.float32(slope)
        plane += np.float32(intercept)
