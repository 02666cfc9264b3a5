"""Where the slices of a mask lie among the source's frames: by geometry, never by order."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.errors import ModelError

TOLERANCE_MM = 0.02  # a volume's affine is the best fit through positions written with few digits


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
    positions = np.array([plane.position for plane in planes])
    distances = np.linalg.norm(starts[:, None] - positions[None], axis=2)
    found = [planes[index] for index in distances.argmin(axis=1)]
    axes = affine[:3, [2, 1]].T / np.linalg.norm(affine[:3, [2, 1]], axis=0)[:, None]
    for plane, distance in zip(found, distances.min(axis=1), strict=True):
        header = plane.header
        if (
            distance > TOLERANCE_MM
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
