"""Frames of one stack put together as a volume of float32 values in modality units."""

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.errors import InputError
from dicom_ai_node.loading.fill import filled
from dicom_ai_node.loading.frames import MAX_VOXEL_BYTES, TOO_LARGE, Frame
from dicom_ai_node.loading.geometry import Arrangement
from dicom_ai_node.loading.shear import straightened
from dicom_ai_node.loading.values import without_padding


def volume_of(frames: list[Frame | None], where: Arrangement) -> hd.Volume:
    """As `hd.get_volume_from_series` and `hd.Image.get_volume` make it, in a fraction of the time.

    `frames`, which agree in size, are in the order of the slices and are set to None one by one:
    so the files' bytes go as the values come. A sheared stack is resampled within its planes.
    """
    try:
        return hd.Volume.from_attributes(
            array=_values(frames, where),
            image_position=where.position,
            image_orientation=where.orientation,
            pixel_spacing=where.pixel_spacing,
            spacing_between_slices=where.spacing,
            coordinate_system="PATIENT",
            frame_of_reference_uid=where.frame_of_reference_uid,
        )
    except (ValueError, AttributeError) as error:
        kind = type(error).__name__
        raise InputError(f"The images cannot be put together as a volume ({kind}).") from error


def _values(frames: list[Frame | None], where: Arrangement) -> NDArray[np.float32]:
    pixel_shifts = where.shifts / where.pixel_spacing
    first = frames[0]
    assert first is not None  # noqa: S101 - nothing is filled yet
    padded = any(frame and frame.transform.padding for frame in frames)
    shape = np.array([first.form.rows, first.form.columns])
    grown = shape + np.ceil(pixel_shifts.max(axis=0) - 1e-6).astype(int)
    if int(grown.prod()) * len(frames) * 4 > MAX_VOXEL_BYTES:
        raise InputError(TOO_LARGE)
    array = filled(frames)
    if where.sheared:
        array = straightened(array, pixel_shifts, grown)
    if padded or where.sheared:
        without_padding(array)
    return array
