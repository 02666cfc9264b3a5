"""Where the slices of a volume lie among the source's frames: by geometry, never by order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.errors import ModelError
from dicom_ai_node.header import numbers_of
from dicom_ai_node.job import Outcome

# A volume is even and straight; its source's slices may jitter along the normal, and hardly
# within their planes.
ALONG = 0.1  # of the spacing between slices
WITHIN_MM = 0.15
SHOWN = (Outcome.FINDINGS, Outcome.PARTLY)  # any other outcome vouches for no voxel
Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlane:
    """One frame of the source; `frame_number` (from 1) only where the instance has several.

    `position` is the centre of the first pixel (LPS, mm), `rows_and_columns` the two unit vectors
    of Image Orientation (Patient); NaN for an image that has no place in the patient.
    """

    header: Dataset
    frame_number: int | None
    position: NDArray[np.float64]
    rows_and_columns: NDArray[np.float64]

    @property
    def has_place(self) -> bool:
        return not np.isnan(self.position).any()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnSource(Generic[Pixel]):
    """Pixels slice by slice on the source's own frames: `planes[k]` lies under `array[k]`.

    `spacing` is between slices, rows and columns, in mm; of single images it says nothing.
    """

    planes: Sequence[SourcePlane]
    array: NDArray[Pixel]
    spacing: tuple[float, float, float]

    @property
    def voxel_mm3(self) -> float:
        """A sheared voxel has the volume of a straight one."""
        return float(np.prod(self.spacing))


SourceMask: TypeAlias = OnSource[np.uint8]  # segment numbers
SourceMap: TypeAlias = OnSource[np.float32]


def source_planes(headers: Sequence[Dataset]) -> list[SourcePlane]:
    return [plane for header in headers for plane in planes_of(header)]


def mask_on_source(mask: hd.Volume, planes: Sequence[SourcePlane]) -> SourceMask:
    """ModelError where the mask does not have the source's geometry."""
    if mask.dtype != np.uint8 or mask.array.ndim != 3:
        raise ModelError("The mask is not a three-dimensional volume of uint8 segment numbers.")
    return _on_source(mask, planes, "mask")


def map_on_source(volume: hd.Volume, planes: Sequence[SourcePlane]) -> SourceMap:
    """ModelError where the map does not have the source's geometry, or holds what is no number."""
    if volume.dtype != np.float32 or volume.array.ndim != 3:
        raise ModelError("The map is not a three-dimensional volume of float32 numbers.")
    if not all(np.isfinite(image).all() for image in volume.array):
        raise ModelError("The map holds something that is not a number.")
    return _on_source(volume, planes, "map")


def _on_source(volume: hd.Volume, planes: Sequence[SourcePlane], what: str) -> OnSource[Any]:
    """The source's frame under each slice (first index) of a volume, and the volume's pixels there.

    Slices of a sheared source (gantry tilt) lie aside of those of a straight volume: each gets
    the nearest pixels.
    """
    affine = volume.affine
    axes = affine[:3, [2, 1]].T / np.linalg.norm(affine[:3, [2, 1]], axis=0)[:, None]
    planes = [plane for plane in planes if np.abs(plane.rows_and_columns - axes).max() <= 1e-3]
    if not planes:
        raise ModelError(f"The {what} does not lie on the source's slices: they lie otherwise.")
    starts = affine[:3, 3] + np.arange(volume.spatial_shape[0])[:, None] * affine[:3, 0]
    normal = np.cross(axes[0], axes[1])
    positions = np.array([plane.position for plane in planes])
    apart = starts @ normal - (positions @ normal)[:, None]
    nearest = np.abs(apart).argmin(axis=0)
    found = [planes[index] for index in nearest]
    aside = (positions[nearest] - starts) @ axes[::-1].T  # mm down and right
    array = _pixels(volume, found, aside)
    if array is None or np.abs(apart).min(axis=0).max() > ALONG * volume.spacing[0]:
        raise ModelError(f"The {what} does not lie on the source's slices, rows and columns.")
    return OnSource(planes=found, array=array, spacing=volume.spacing)


def _pixels(
    volume: hd.Volume, planes: Sequence[SourcePlane], aside: NDArray[np.float64]
) -> NDArray[Any] | None:
    """Slices × the source's rows and columns; None where they do not fit."""
    shapes = {(int(plane.header.Rows), int(plane.header.Columns)) for plane in planes}
    if len(shapes) != 1 or len({id(plane) for plane in planes}) != len(planes):
        return None
    (shape,) = shapes
    if np.abs(aside).max() <= WITHIN_MM:
        return volume.array if shape == volume.spatial_shape[1:] else None
    if np.ptp(aside, axis=0).max() <= WITHIN_MM or aside.min(axis=0).max() > WITHIN_MM:
        return None  # moved as a whole, which is no shear
    first = np.rint(aside / volume.spacing[1:]).astype(int).clip(0)
    if ((first + shape).max(axis=0) > volume.spatial_shape[1:]).any() or aside.min() < -WITHIN_MM:
        return None
    slices = zip(volume.array, first, strict=True)
    return np.stack(
        [image[down : down + shape[0], right : right + shape[1]] for image, (down, right) in slices]
    )


def planes_of(header: Dataset) -> list[SourcePlane]:
    """None for an image that does not say where in the patient it lies."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        position = numbers_of(header, "ImagePositionPatient")
        orientation = numbers_of(header, "ImageOrientationPatient")
        if len(position) != 3 or len(orientation) != 6:
            return []
        return [_plane(header, None, position, orientation)]
    shared = header.SharedFunctionalGroupsSequence[0]
    planes = []
    for number, groups in enumerate(header.PerFrameFunctionalGroupsSequence, 1):
        place = groups if "PlanePositionSequence" in groups else shared
        turn = groups if "PlaneOrientationSequence" in groups else shared
        position = place.PlanePositionSequence[0].ImagePositionPatient
        orientation = turn.PlaneOrientationSequence[0].ImageOrientationPatient
        planes.append(_plane(header, number, position, orientation))
    return planes


def _plane(
    header: Dataset, number: int | None, position: Sequence[float], orientation: Sequence[float]
) -> SourcePlane:
    return SourcePlane(
        header=header,
        frame_number=number,
        position=np.array(position, float),
        rows_and_columns=np.array(orientation, float).reshape(2, 3),
    )
