"""What a result marks, object by object: the segments that have voxels, on the source's frames."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dicom_ai_node.encoders.follow_up import NOTHING_EARLIER, FollowUp
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.marked.segments import PresentSegment, present_segments
from dicom_ai_node.encoders.marked.single_images import image_masks
from dicom_ai_node.encoders.source.planes import (
    SHOWN,
    SourceMask,
    SourcePlane,
    mask_on_source,
    source_planes,
)
from dicom_ai_node.result import Finding, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What one SEG holds; `of_images` where its frames are images each seen by itself."""

    mask: SourceMask
    segments: Sequence[PresentSegment]
    of_images: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a finding is marked; `index` is the slice to show: its image, or where it is largest.

    `object_number` is that of the Marked among those of the run.
    """

    object_number: int
    marked: Marked
    segment: PresentSegment
    index: int

    @property
    def plane(self) -> SourcePlane:
        return self.marked.mask.planes[self.index]


def marked(
    result: Result,
    sources: Sequence[Dataset],
    ids: DerivedIds,
    follow_up: FollowUp = NOTHING_EARLIER,
) -> list[Marked]:
    """One for each SEG, none of them empty; segments that overlap lie in different ones.

    ModelError where a mask does not have its source's geometry, or an undescribed segment.
    """
    if result.outcome not in SHOWN:
        return []
    planes = source_planes(sources) if result.masks else []
    found = []
    for volume in result.masks:
        mask = mask_on_source(volume, planes)
        found.append((mask, present_segments(result, mask, ids, None, follow_up), False))
    for mask in image_masks(result, sources):
        first = str(mask.planes[0].header.SOPInstanceUID)
        found.append((mask, present_segments(result, mask, ids, first, follow_up), True))
    return [
        Marked(mask=mask, segments=segments, of_images=of_images)
        for mask, segments, of_images in found
        if segments
    ]


def place_of(finding: Finding, parts: Sequence[Marked]) -> Place | None:
    """None for a finding whose segment has no voxel (on its image, where it names one)."""
    for number, part in enumerate(parts):
        for segment in part.segments:
            if segment.segment.number == finding.segment_number:
                index = _slice(finding, part, segment)
                if index is not None and segment.voxels[index]:
                    return Place(object_number=number, marked=part, segment=segment, index=index)
    return None


def _slice(finding: Finding, part: Marked, segment: PresentSegment) -> int | None:
    if part.of_images and finding.image is not None:
        uids = [str(plane.header.SOPInstanceUID) for plane in part.mask.planes]
        return uids.index(finding.image) if finding.image in uids else None
    return int(segment.voxels.argmax())
