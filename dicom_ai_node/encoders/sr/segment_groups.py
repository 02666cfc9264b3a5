"""Groups of what a segment marks: its volume (TID 1411), its frame and its outline (TID 1410)."""

from collections.abc import Sequence

from pydicom import Dataset

from dicom_ai_node.encoders.marked.marked import Place
from dicom_ai_node.encoders.marked.outline import largest_component, outline
from dicom_ai_node.encoders.marked.size import area
from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.draft import Draft
from dicom_ai_node.encoders.sr.groups import comments, group, measurements_of, source_of_group
from dicom_ai_node.encoders.sr.items import CONTAINS
from dicom_ai_node.result import Finding


def segment_groups(
    draft: Draft, finding: Finding, place: Place, seg: Dataset | None, earlier: Sequence[str]
) -> list[Dataset]:
    """What was measured, and where it is drawn: OHIF merges the two by their tracking UID."""
    if seg is None:
        measured = _measured_group(draft, finding, place, earlier)
    elif place.marked.of_images:
        measured = _frame_group(draft, finding, place, seg, earlier)
    else:
        measured = _volume_group(draft, finding, place, seg, earlier)
    return [measured, _outline_group(draft, finding, place)]


def _volume_group(
    draft: Draft, finding: Finding, place: Place, seg: Dataset, earlier: Sequence[str]
) -> Dataset:
    """TID 1411: what was measured in a segment of the SEG; its volume in any case."""
    series = str(seg.ReferencedSeriesSequence[0].SeriesInstanceUID)
    number = place.segment.number
    return group(
        draft,
        "1411",
        _tracking(draft, finding, place),
        said=finding,
        category=place.segment.segment.category,
        measurements=measurements_of(finding, place),
        below=[
            draft.items.image(names.REFERENCED_SEGMENT, seg, CONTAINS, segment=number),
            draft.items.uid(names.SOURCE_SERIES, series, CONTAINS),
            *comments(draft.items, *earlier),
        ],
    )


def _frame_group(
    draft: Draft, finding: Finding, place: Place, seg: Dataset, earlier: Sequence[str]
) -> Dataset:
    """TID 1410: what was measured in a segment of one image; its area where pixels have a size.

    A frame of a BINARY SEG is of one segment; its number must not stand beside that of the frame
    (PS3.3 C.18.4).
    """
    frame = _frame_number(seg, place)
    return group(
        draft,
        "1410",
        _tracking(draft, finding, place),
        said=finding,
        category=place.segment.segment.category,
        measurements=measurements_of(finding, place),
        below=[
            draft.items.image(names.REFERENCED_FRAME, seg, CONTAINS, frame=frame),
            draft.items.image(names.SOURCE_IMAGE, place.plane.header, CONTAINS),
            *comments(draft.items, *earlier),
        ],
    )


def _measured_group(
    draft: Draft, finding: Finding, place: Place, earlier: Sequence[str]
) -> Dataset:
    """TID 1501: what was measured in a segment whose SEG is not made."""
    source = place.plane.header if place.marked.of_images else None
    return group(
        draft,
        "1501",
        _tracking(draft, finding, place),
        said=finding,
        measurements=measurements_of(finding, place),
        below=[
            *source_of_group(draft.items, source),
            *comments(draft.items, *earlier),
        ],
    )


def _outline_group(draft: Draft, finding: Finding, place: Place) -> Dataset:
    """TID 1410: the largest piece on its slice; its area there, where the segment is a volume."""
    mask, plane = place.marked.mask, place.plane
    component = largest_component(mask.array[place.index] == place.segment.segment.number)
    measurements = []
    if not place.marked.of_images:
        measurements = [area(int(component.sum()), mask.spacing[1:])]
    return group(
        draft,
        "1410",
        _tracking(draft, finding, place),
        said=finding,
        category=place.segment.segment.category,
        measurements=measurements,
        below=[draft.items.region(outline(component), plane.header, plane.frame_number)],
    )


def _tracking(draft: Draft, finding: Finding, place: Place) -> tuple[str, str]:
    """That of the segment in the SEG; on single images, each of which has its own, that of one."""
    present = place.segment
    if not place.marked.of_images:
        return present.tracking_uid, present.tracking_identifier
    image = str(place.plane.header.SOPInstanceUID)
    uid = draft.follow_up.segment_uid(draft.run.ids, present.segment.number, image)
    return uid, finding.tracking_identifier


def _frame_number(seg: Dataset, place: Place) -> int:
    """Of the frame that holds this segment on this image; that of a label map has all of them."""
    image = place.plane.header.SOPInstanceUID
    (shared,) = seg.SharedFunctionalGroupsSequence
    for number, groups in enumerate(seg.PerFrameFunctionalGroupsSequence, 1):
        own = groups if "SegmentIdentificationSequence" in groups else shared
        only = own.get("SegmentIdentificationSequence")
        segment = only[0].ReferencedSegmentNumber if only else place.segment.number
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        if segment == place.segment.number and source.ReferencedSOPInstanceUID == image:
            return number
    raise LookupError("a segment has no frame on an image where it has voxels")
