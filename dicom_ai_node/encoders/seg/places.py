"""Where the frames of a Segmentation lie among each other."""

from collections.abc import Sequence

import numpy as np
from highdicom.spatial import VOLUME_INDEX_CONVENTION, get_normal_vector, get_volume_positions
from pydicom import Dataset
from pydicom.valuerep import DSfloat

from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.source.planes import SourcePlane


def places_of(part: Marked, *, whole: bool) -> list[int]:
    """The slices of the mask that get frames, along their normal: the order of the dimension index
    values. All of them if `whole`, else those that have voxels."""
    found = _marked(part, whole=whole)
    planes = part.mask.planes
    if not planes[0].has_place:
        return found
    normal = get_normal_vector(_orientation(planes), index_convention=VOLUME_INDEX_CONVENTION)
    return sorted(found, key=lambda index: float(planes[index].position @ normal))


def set_volume(seg: Dataset, part: Marked, *, whole: bool) -> None:
    """How far apart all of the source's slices are, and whether the frames are a volume: even ones
    that differ in nothing but their place (PS3.3 C.7.6.17)."""
    planes = part.mask.planes
    (shared,) = seg.SharedFunctionalGroupsSequence
    (measures,) = shared.PixelMeasuresSequence
    if not _says_how_far_apart(planes[0]):
        spacing = _spacing(planes)
        measures.SpacingBetweenSlices = spacing and DSfloat(spacing, auto_format=True)
        if not spacing:
            del measures.SpacingBetweenSlices
    found = _marked(part, whole=whole)
    by_segment = len(part.segments) > 1 and seg.SegmentationType != "LABELMAP"
    if len(found) > 1 and not by_segment and _spacing([planes[k] for k in found], sort=False):
        seg.DimensionOrganizationType = "3D"


def _marked(part: Marked, *, whole: bool) -> list[int]:
    voxels = np.sum([segment.voxels for segment in part.segments], axis=0)
    return [int(index) for index in np.flatnonzero(voxels | whole)]


def _says_how_far_apart(plane: SourcePlane) -> bool:
    header = plane.header
    if plane.frame_number is None:
        return header.get("SpacingBetweenSlices") is not None
    shared = header.SharedFunctionalGroupsSequence[0]
    frame = header.PerFrameFunctionalGroupsSequence[plane.frame_number - 1]
    groups = shared if "PixelMeasuresSequence" in shared else frame
    return "SpacingBetweenSlices" in groups.PixelMeasuresSequence[0]


def _spacing(planes: Sequence[SourcePlane], *, sort: bool = True) -> float | None:
    """mm; None of slices that are not evenly spaced along their normal."""
    positions = [plane.position.tolist() for plane in planes]
    spacing, _ = get_volume_positions(positions, _orientation(planes), sort=sort)
    return spacing


def _orientation(planes: Sequence[SourcePlane]) -> list[float]:
    return [float(cosine) for cosine in planes[0].rows_and_columns.ravel()]
