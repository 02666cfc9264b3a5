"""Measurement groups of a TID 1500 report: the status, volumes (1411), outlines (1410), others."""

import math
from collections.abc import Iterable, Sequence

import highdicom as hd
import numpy as np
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.outline import largest_component, outline
from dicom_ai_node.encoders.planes import SourcePlane
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.segments import PresentSegment, tracking_uid
from dicom_ai_node.encoders.status import STATUS, evaluations
from dicom_ai_node.errors import ModelError
from dicom_ai_node.result import Finding, Measurement, Result

MILLILITER = Code("mL", "UCUM", "mL")
REPLACES = "This report replaces an earlier one: images of the study came after that was made."
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")


def algorithm(run: Run) -> sr.AlgorithmIdentification:
    """TID 4019, which goes into every group."""
    return sr.AlgorithmIdentification(
        name=run.package.title,
        version=run.package.version,
        family=run.algorithm_family,
        manufacturer=MANUFACTURER,
        parameters=[f"{name}={value}" for name, value in run.parameters.items()],
    )


def status_section(result: Result, run: Run) -> sr.ContainerContentItem:
    """TID 1500 row 12, beside findings: the outcome as a code, and in words for a text viewer.

    Not a measurement group: one without coordinates, and OHIF draws nothing of the whole report.
    """
    headline = STATUS[result.outcome].headline
    section = sr.ContainerContentItem(
        name=QUALITATIVE_EVALUATIONS, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    section.ContentSequence = sr.ContentSequence(
        [
            *(item for each in evaluations(result.outcome, has_findings=True) for item in each),
            *_comments(headline, *_sentences(result, run)),
        ]
    )
    return section


def status_group(
    result: Result, run: Run, source: Dataset | None
) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501 with the same, without findings: Imaging Measurements cannot be empty."""
    headline = STATUS[result.outcome].headline
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(run.ids.uid("sr", "status"), headline),
        algorithm_id=algorithm(run),
        qualitative_evaluations=evaluations(result.outcome, has_findings=False),
        source_images=_source_of_group(source),
    )
    group[0].ContentSequence.extend(_comments(*_sentences(result, run)))
    return group


def volume_group(
    finding: Finding, present: PresentSegment, volume: hd.Volume, seg: Dataset, run: Run
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """TID 1411: what was measured in a segment of the SEG; its volume in any case."""
    measurements = list(finding.measurements)
    if codes.SCT.Volume not in [measurement.name for measurement in measurements]:
        millilitres = int(present.voxels.sum()) * abs(np.linalg.det(volume.affine[:3, :3])) / 1000
        volume_ml = Measurement(name=codes.SCT.Volume, value=millilitres, unit=MILLILITER)
        measurements.insert(0, volume_ml)
    series = seg.ReferencedSeriesSequence[0].SeriesInstanceUID
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(present),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=present.number,
            source_series=sr.SourceSeriesForSegmentation(series),
        ),
        finding_type=finding.code,
        finding_category=present.segment.category,
        finding_sites=_sites(finding),
        algorithm_id=algorithm(run),
        measurements=_measurements(measurements),
    )


def outline_group(
    finding: Finding,
    present: PresentSegment,
    volume: hd.Volume,
    planes: Sequence[SourcePlane],
    run: Run,
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """TID 1410: the largest piece on the slice where the segment is largest, and its area there.

    OHIF draws this group, and merges the volume group into it by the common tracking UID.
    """
    index = int(present.voxels.argmax())
    component = largest_component(volume.array[index] == present.segment.number)
    row_mm, column_mm = volume.spacing[1:]
    area = Measurement(
        name=codes.SCT.Area,
        value=int(component.sum()) * row_mm * column_mm,
        unit=codes.UCUM.SquareMillimeter,
    )
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(present),
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=outline(component),
            source_image=_source_of_region(planes[index]),
        ),
        finding_type=finding.code,
        finding_category=present.segment.category,
        finding_sites=_sites(finding),
        algorithm_id=algorithm(run),
        measurements=_measurements([area]),
    )


def plain_group(
    finding: Finding, run: Run, present: PresentSegment | None = None
) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501: a finding without a place, or one whose SEG is not made."""
    own = sr.TrackingIdentifier(tracking_uid(finding, run.ids), finding.tracking_identifier)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(present) if present else own,
        finding_type=finding.code,
        finding_sites=_sites(finding),
        algorithm_id=algorithm(run),
        measurements=_measurements(finding.measurements),
    )


def _sentences(result: Result, run: Run) -> tuple[str, ...]:
    sentence = result.reason or STATUS[result.outcome].sentence
    replaces = () if run.predecessor is None else (REPLACES,)
    return sentence, *replaces, run.package.intended_use


def _comments(*sentences: str) -> list[sr.TextContentItem]:
    return [
        sr.TextContentItem(
            name=codes.DCM.Comment,
            value=sentence,
            relationship_type=sr.RelationshipTypeValues.CONTAINS,
        )
        for sentence in sentences
    ]


def _tracking(present: PresentSegment) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(present.tracking_uid, present.tracking_identifier)


def _sites(finding: Finding) -> list[sr.FindingSite] | None:
    return [sr.FindingSite(finding.site)] if finding.site else None


def _measurements(measurements: Iterable[Measurement]) -> list[sr.Measurement]:
    found = []
    for measurement in measurements:
        if not math.isfinite(measurement.value):
            raise ModelError(f"The model measured no number: {measurement.name.meaning}.")
        value = round(float(measurement.value), 3)
        found.append(sr.Measurement(name=measurement.name, value=value, unit=measurement.unit))
    return found


def _source_of_region(plane: SourcePlane) -> sr.SourceImageForRegion:
    return sr.SourceImageForRegion(
        plane.header.SOPClassUID,
        plane.header.SOPInstanceUID,
        None if plane.frame_number is None else [plane.frame_number],
    )


def _source_of_group(source: Dataset | None) -> list[sr.SourceImageForMeasurementGroup] | None:
    if source is None:
        return None
    return [sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)]
