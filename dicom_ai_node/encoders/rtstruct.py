"""What a result marks as an RT Structure Set (PS3.3 A.19), for viewers that draw no Segmentation.

Contours run along the pixels' edges, in the plane of their slice: filled, they are the mask.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import RTStructureSetStorage
from scipy import ndimage

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.contour_data import MAX_POINTS, contour_data, patient_points
from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.contours import contours
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.segments import PresentSegment
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source.planes import SourcePlane
from dicom_ai_node.form import Kind

# what readers have come to expect, of those that the standard has retired
DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
ANATOMY = ("SCT", "123037004")
ORGAN = "ORGAN"
MAX_LO, MAX_SH = 64, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """`number` counts from 1 over all parts of the run; `name` is no other one's.

    `box` is the part of the mask's array (slices, rows, columns) outside of which nothing lies.
    """

    number: int
    name: str
    part: Marked
    present: PresentSegment
    box: tuple[slice, ...]

    @property
    def frame_of_reference_uid(self) -> str:
        return str(self.part.mask.planes[0].header.FrameOfReferenceUID)


def encode_rtstruct(basis: Basis, variant: str = "") -> Dataset | None:
    """One for all parts; None where no marked image says where in the patient it lies."""
    rois = _rois(basis.parts)
    if not rois:
        return None
    run = basis.run
    ds = Dataset()
    ds.SOPClassUID = RTStructureSetStorage
    ds.Modality = "RTSTRUCT"
    ds.StudyInstanceUID = basis.header.StudyInstanceUID
    attributes = Identity(run=run, kind=Kind.RTSTRUCT, variant=variant).attributes
    ds.SOPInstanceUID = attributes["sop_instance_uid"]
    ds.SeriesInstanceUID = attributes["series_instance_uid"]
    ds.SeriesNumber = attributes["series_number"]
    ds.InstanceNumber = attributes["instance_number"]
    ds.OperatorsName = None
    ds.StructureSetLabel = run.content_label
    ds.StructureSetName = run.description(run.say("contours"))
    ds.ApprovalStatus = "UNAPPROVED"
    _set_frame_of_reference(ds, rois, basis.sources)
    ds.StructureSetROISequence = [_structure(roi, run) for roi in rois]
    ds.ROIContourSequence = [_contours_of(roi) for roi in rois]
    ds.RTROIObservationsSequence = [_observation(roi) for roi in rois]
    finish(ds, basis.header, run, run.description(run.say("contours")))
    ds.StructureSetDate, ds.StructureSetTime = ds.ContentDate, ds.ContentTime
    del ds.ContentDate, ds.ContentTime  # which this object does not have
    return ds


def _rois(parts: Sequence[Marked]) -> list[Roi]:
    names: Counter[str] = Counter()
    rois: list[Roi] = []
    for part in parts:
        first = part.mask.planes[0]
        if not first.has_place or not first.header.get("FrameOfReferenceUID"):
            continue
        boxes = ndimage.find_objects(part.mask.array)
        for present in part.segments:
            box = boxes[present.segment.number - 1]
            label = present.segment.label
            names[label] += 1
            number = "" if names[label] == 1 else f" {names[label]}"
            name = label[: MAX_LO - len(number)] + number
            rois.append(Roi(number=len(rois) + 1, name=name, part=part, present=present, box=box))
    return rois


def _set_frame_of_reference(ds: Dataset, rois: Sequence[Roi], sources: Sequence[Dataset]) -> None:
    """With all images that were analysed, whether something is marked on them or not."""
    uids = sorted({roi.frame_of_reference_uid for roi in rois})
    if len(uids) == 1:
        ds.FrameOfReferenceUID = uids[0]
        ds.PositionReferenceIndicator = None
    ds.ReferencedFrameOfReferenceSequence = [_frame_of_reference(uid, sources) for uid in uids]


def _frame_of_reference(uid: str, sources: Sequence[Dataset]) -> Dataset:
    series: dict[str, list[Dataset]] = {}
    for source in sources:
        if str(source.get("FrameOfReferenceUID")) == uid:
            series.setdefault(str(source.SeriesInstanceUID), []).append(_image(source, None))
    study = Dataset()
    study.ReferencedSOPClassUID = DETACHED_STUDY
    study.ReferencedSOPInstanceUID = sources[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = []
    for series_instance_uid, images in series.items():
        item = Dataset()
        item.SeriesInstanceUID = series_instance_uid
        item.ContourImageSequence = images
        study.RTReferencedSeriesSequence.append(item)
    frame_of_reference = Dataset()
    frame_of_reference.FrameOfReferenceUID = uid
    frame_of_reference.RTReferencedStudySequence = [study]
    return frame_of_reference


def _image(header: Dataset, frame_number: int | None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    if frame_number is not None:
        item.ReferencedFrameNumber = frame_number
    return item


def _structure(roi: Roi, run: Run) -> Dataset:
    item = Dataset()
    item.ROINumber = roi.number
    item.ReferencedFrameOfReferenceUID = roi.frame_of_reference_uid
    item.ROIName = roi.name
    item.ROIDescription = roi.present.tracking_identifier
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = run.description(run.package.version)
    item.ROIDerivationAlgorithmIdentificationSequence = AlgorithmIdentificationSequence(
        name=run.package.title,
        family=run.algorithm_family,
        version=run.package.version,
        source=MANUFACTURER,
        parameters=run.parameters,
    )
    return item


def _contours_of(roi: Roi) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = roi.number
    item.ROIDisplayColor = [*roi.present.segment.color]
    item.ContourSequence = []
    for plane, piece in _pieces(roi):
        contour = contour_data(patient_points(piece, plane, roi.part.mask.spacing[1:]))
        contour.ContourImageSequence = [_image(plane.header, plane.frame_number)]
        contour.ContourNumber = len(item.ContourSequence) + 1
        item.ContourSequence.append(contour)
    return item


def _pieces(roi: Roi) -> Iterator[tuple[SourcePlane, NDArray[np.int64]]]:
    """Slice by slice, corners on the whole image; only the part that is marked is looked at."""
    slices, rows, columns = roi.box
    marked = roi.part.mask.array[roi.box] == roi.present.segment.number
    corner = (columns.start, rows.start)
    for plane, image in zip(roi.part.mask.planes[slices], marked, strict=True):
        for piece in contours(image, MAX_POINTS):
            yield plane, piece + corner


def _observation(roi: Roi) -> Dataset:
    """Nothing is called a target volume: what the segment is says its code."""
    segment = roi.present.segment
    code = Dataset()
    code.CodeValue = segment.type.value
    code.CodingSchemeDesignator = segment.type.scheme_designator
    code.CodeMeaning = segment.type.meaning
    item = Dataset()
    item.ObservationNumber = roi.number
    item.ReferencedROINumber = roi.number
    item.ROIObservationLabel = roi.name[:MAX_SH].rstrip()
    item.ROIObservationDescription = f"Tracking UID {roi.present.tracking_uid}"
    item.RTROIIdentificationCodeSequence = [code]
    is_organ = (segment.category.scheme_designator, segment.category.value) == ANATOMY
    item.RTROIInterpretedType = ORGAN if is_organ else ""
    item.ROIInterpreter = None
    return item
