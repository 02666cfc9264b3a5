"""Where the slices of a mask lie among the source's frames: by geometry, never by order."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.errors import ModelError

# A volume is even and straight; its source's slices may jitter along the normal, and hardly
# within their planes.
ALONG = 0.1  # of the spacing between slices
WITHIN_MM = 0.15


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


def source_planes(headers: Sequence[Dataset]) -> list[SourcePlane]:
    return [plane for header in headers for plane in _planes_of(header)]


def planes_of_slices(volume: hd.Volume, planes: Sequence[SourcePlane]) -> list[SourcePlane]:
    """The source's frame under each slice (first index) of the volume.

    ModelError where there is none: such a mask does not have the source's geometry.
    """
    if not planes:
        raise ModelError("The mask cannot be placed: the source has no geometry.")
    affine = volume.affine
    starts = affine[:3, 3] + np.arange(volume.spatial_shape[0])[:, None] * affine[:3, 0]
    offsets = starts[:, None] - np.array([plane.position for plane in planes])[None]
    nearest = np.linalg.norm(offsets, axis=2).argmin(axis=1)
    found = [planes[index] for index in nearest]
    axes = affine[:3, [2, 1]].T / np.linalg.norm(affine[:3, [2, 1]], axis=0)[:, None]
    for plane, offset in zip(found, offsets[np.arange(len(nearest)), nearest], strict=True):
        header = plane.header
        if (
            abs(offset @ np.cross(axes[0], axes[1])) > ALONG * volume.spacing[0]
            or np.abs(axes @ offset).max() > WITHIN_MM
            or np.abs(plane.rows_and_columns - axes).max() > 1e-3
            or (header.Rows, header.Columns) != volume.spatial_shape[1:]
        ):
            raise ModelError("The mask does not lie on the source's slices, rows and columns.")
    return found


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
