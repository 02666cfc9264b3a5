"""Where the slices of a mask lie among the source's frames: by geometry, never by order."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result

# A volume is even and straight; its source's slices may jitter along the normal, and hardly
# within their planes.
ALONG = 0.1  # of the spacing between slices
WITHIN_MM = 0.15
SHOWN = (Outcome.FINDINGS, Outcome.PARTLY)  # any other outcome vouches for no voxel


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlane:
    """One frame of the source; `frame_number` (from 1) only where the instance has several.

    `position` is the centre of the first pixel (LPS, mm), `rows_and_columns` the two unit vectors
    of Image Orientation (Patient).
    """

    header: Dataset
    frame_number: int | None
    position: NDArray[np.float64]
    rows_and_columns: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMask:
    """Segment numbers slice by slice on the source's own frames: `planes[k]` lies under `array[k]`.

    `spacing` is between slices, rows and columns, in mm.
    """

    planes: Sequence[SourcePlane]
    array: NDArray[np.uint8]
    spacing: tuple[float, float, float]

    @property
    def voxel_mm3(self) -> float:
        """A sheared voxel has the volume of a straight one."""
        return float(np.prod(self.spacing))


def source_planes(headers: Sequence[Dataset]) -> list[SourcePlane]:
    return [plane for header in headers for plane in _planes_of(header)]


def source_mask(result: Result, headers: Sequence[Dataset]) -> SourceMask | None:
    """The mask of a result on its source's frames; None where the result speaks for no mask."""
    if not result.masks or result.outcome not in SHOWN:
        return None
    return on_source(result.masks[0], source_planes(headers))


def on_source(mask: hd.Volume, planes: Sequence[SourcePlane]) -> SourceMask:
    """The source's frame under each slice (first index) of the mask, and the mask's pixels there.

    Slices of a sheared source (gantry tilt) lie aside of those of a straight volume: each gets
    the nearest pixels. ModelError where the mask does not have the source's geometry.
    """
    if mask.dtype != np.uint8 or mask.array.ndim != 3:
        raise ModelError("The mask is not a three-dimensional volume of uint8 segment numbers.")
    affine = mask.affine
    axes = affine[:3, [2, 1]].T / np.linalg.norm(affine[:3, [2, 1]], axis=0)[:, None]
    planes = [plane for plane in planes if np.abs(plane.rows_and_columns - axes).max() <= 1e-3]
    if not planes:
        raise ModelError("The mask does not lie on the source's slices: they lie otherwise.")
    starts = affine[:3, 3] + np.arange(mask.spatial_shape[0])[:, None] * affine[:3, 0]
    normal = np.cross(axes[0], axes[1])
    positions = np.array([plane.position for plane in planes])
    apart = starts @ normal - (positions @ normal)[:, None]
    nearest = np.abs(apart).argmin(axis=0)
    found = [planes[index] for index in nearest]
    aside = (positions[nearest] - starts) @ axes[::-1].T  # mm down and right
    array = _pixels(mask, found, aside)
    if array is None or np.abs(apart).min(axis=0).max() > ALONG * mask.spacing[0]:
        raise ModelError("The mask does not lie on the source's slices, rows and columns.")
    return SourceMask(planes=found, array=array, spacing=mask.spacing)


def _pixels(
    mask: hd.Volume, planes: Sequence[SourcePlane], aside: NDArray[np.float64]
) -> NDArray[np.uint8] | None:
    """Slices × the source's rows and columns; None where they do not fit."""
    shapes = {(int(plane.header.Rows), int(plane.header.Columns)) for plane in planes}
    if len(shapes) != 1 or len({id(plane) for plane in planes}) != len(planes):
        return None
    (shape,) = shapes
    if np.abs(aside).max() <= WITHIN_MM:
        return mask.array if shape == mask.spatial_shape[1:] else None
    if np.ptp(aside, axis=0).max() <= WITHIN_MM or aside.min(axis=0).max() > WITHIN_MM:
        return None  # moved as a whole, which is no shear
    first = np.rint(aside / mask.spacing[1:]).astype(int).clip(0)
    if ((first + shape).max(axis=0) > mask.spatial_shape[1:]).any() or aside.min() < -WITHIN_MM:
        return None
    slices = zip(mask.array, first, strict=True)
    return np.stack(
        [image[down : down + shape[0], right : right + shape[1]] for image, (down, right) in slices]
    )


def _planes_of(header: Dataset) -> list[SourcePlane]:
    if "PerFrameFunctionalGroupsSequence" not in header:
        if "ImagePositionPatient" not in header or "ImageOrientationPatient" not in header:
            return []
        return [_plane(header, None, header.ImagePositionPatient, header.ImageOrientationPatient)]
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
