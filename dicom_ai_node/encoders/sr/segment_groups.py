"""Groups of what a segment marks: its volume (TID 1411), its frame and its outline (TID 1410)."""

from collections.abc import Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.marked.marked import Place
from dicom_ai_node.encoders.marked.outline import largest_component, outline
from dicom_ai_node.encoders.marked.segments import segment_uid
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.sr.groups import (
    Group,
    algorithm,
    as_items,
    measurements_of,
    sites_of,
    sources_of_group,
)
from dicom_ai_node.image_spacing import spacing_in_image
from dicom_ai_node.result import Finding, Measurement

MILLILITER = Code("mL", "UCUM", "mL")


def segment_groups(finding: Finding, place: Place, seg: Dataset | None, run: Run) -> list[Group]:
    """What was measured, and where it is drawn: OHIF merges the two by their tracking UID."""
    if seg is None:
        return [_measured_group(finding, place, run), _outline_group(finding, place, run)]
    if place.marked.of_images:
        return [_frame_group(finding, place, seg, run), _outline_group(finding, place, run)]
    return [_volume_group(finding, place, seg, run), _outline_group(finding, place, run)]


def _volume_group(finding: Finding, place: Place, seg: Dataset, run: Run) -> Group:
    """TID 1411: what was measured in a segment of the SEG; its volume in any case."""
    measurements = measurements_of(finding)
    if codes.SCT.Volume not in [measurement.name for measurement in measurements]:
        millilitres = int(place.segment.voxels.sum()) * place.marked.mask.voxel_mm3 / 1000
        volume_ml = Measurement(name=codes.SCT.Volume, value=millilitres, unit=MILLILITER)
        measurements.insert(0, volume_ml)
    series = seg.ReferencedSeriesSequence[0].SeriesInstanceUID
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding, place, run),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=place.segment.number,
            source_series=sr.SourceSeriesForSegmentation(series),
        ),
        finding_type=finding.code,
        finding_category=place.segment.segment.category,
        finding_sites=sites_of(finding),
        algorithm_id=algorithm(run),
        measurements=as_items(measurements),
    )


def _frame_group(finding: Finding, place: Place, seg: Dataset, run: Run) -> Group:
    """TID 1410: what was measured in a segment of one image; its area where pixels have a size."""
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding, place, run),
        referenced_segment=_segmentation_frame(place, seg),
        finding_type=finding.code,
        finding_category=place.segment.segment.category,
        finding_sites=sites_of(finding),
        algorithm_id=algorithm(run),
        measurements=as_items(_measured_on_image(finding, place)),
    )


def _measured_group(finding: Finding, place: Place, run: Run) -> Group:
    """TID 1501: what was measured in a segment whose SEG is not made."""
    of_image = place.marked.of_images
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding, place, run),
        finding_type=finding.code,
        finding_sites=sites_of(finding),
        algorithm_id=algorithm(run),
        source_images=sources_of_group(place.plane.header if of_image else None),
        measurements=as_items(
            _measured_on_image(finding, place) if of_image else measurements_of(finding)
        ),
    )


def _outline_group(finding: Finding, place: Place, run: Run) -> Group:
    """TID 1410: the largest piece on its slice; its area there, where the segment is a volume."""
    mask = place.marked.mask
    component = largest_component(mask.array[place.index] == place.segment.segment.number)
    measurements = []
    if not place.marked.of_images:
        measurements = [_area(int(component.sum()), mask.spacing[1:])]
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding, place, run),
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=outline(component),
            source_image=_source_of_region(place),
        ),
        finding_type=finding.code,
        finding_category=place.segment.segment.category,
        finding_sites=sites_of(finding),
        algorithm_id=algorithm(run),
        measurements=as_items(measurements),
    )


def _tracking(finding: Finding, place: Place, run: Run) -> sr.TrackingIdentifier:
    """That of the segment in the SEG; on single images, each of which has its own, that of one."""
    present = place.segment
    if not place.marked.of_images:
        return sr.TrackingIdentifier(present.tracking_uid, present.tracking_identifier)
    image = str(place.plane.header.SOPInstanceUID)
    uid = segment_uid(run.ids, present.segment.number, image)
    return sr.TrackingIdentifier(uid, finding.tracking_identifier)


def _measured_on_image(finding: Finding, place: Place) -> list[Measurement]:
    measurements = measurements_of(finding)
    spacing = spacing_in_image(place.plane.header)
    if spacing and codes.SCT.Area not in [measurement.name for measurement in measurements]:
        measurements.insert(0, _area(int(place.segment.voxels[place.index]), spacing))
    return measurements


def _area(pixels: int, spacing: Sequence[float]) -> Measurement:
    row_mm, column_mm = spacing
    return Measurement(
        name=codes.SCT.Area,
        value=pixels * row_mm * column_mm,
        unit=codes.UCUM.SquareMillimeter,
    )


def _segmentation_frame(place: Place, seg: Dataset) -> sr.ReferencedSegmentationFrame:
    """A frame of a BINARY SEG is of one segment; its number must not stand beside that of the frame
    (PS3.3 C.18.4)."""
    header = place.plane.header
    frame = sr.ReferencedSegmentationFrame(
        sop_class_uid=seg.SOPClassUID,
        sop_instance_uid=seg.SOPInstanceUID,
        frame_number=_frame_number(seg, place),
        segment_number=place.segment.number,
        source_image=sr.SourceImageForSegmentation(header.SOPClassUID, header.SOPInstanceUID),
    )
    del frame[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    return frame


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


def _source_of_region(place: Place) -> sr.SourceImageForRegion:
    plane = place.plane
    return sr.SourceImageForRegion(
        plane.header.SOPClassUID,
        plane.header.SOPInstanceUID,
        None if plane.frame_number is None else [plane.frame_number],
    )
