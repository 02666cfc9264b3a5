"""Where each finding is seen best: one frame of the source for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.marked import place_of
from dicom_ai_node.encoders.marked.regions import Drawing, drawing_of
from dicom_ai_node.encoders.source.planes import SHOWN, source_planes
from dicom_ai_node.result import BoxInPatient, Finding

Where: TypeAlias = tuple[str, int | None]  # SOP Instance UID, and the number of a frame


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFrame:
    """`number` (from 1) only where the instance has several frames; `drawing` where the finding has
    a region."""

    header: Dataset
    number: int | None
    finding: Finding
    drawing: Drawing | None = None

    @property
    def where(self) -> Where:
        return str(self.header.SOPInstanceUID), self.number


def key_frames(basis: Basis) -> Iterator[KeyFrame]:
    """In the order of the findings; a finding of the whole study has none."""
    findings = basis.result.findings if basis.result.outcome in SHOWN else ()
    in_patient = any(isinstance(finding.region, BoxInPatient) for finding in findings)
    planes = source_planes(basis.sources) if in_patient else []
    by_uid = {str(source.SOPInstanceUID): source for source in basis.sources}
    for finding in findings:
        if finding.segment_number is not None:
            place = place_of(finding, basis.parts)
            if place is not None:
                plane = place.plane
                yield KeyFrame(header=plane.header, number=plane.frame_number, finding=finding)
        elif finding.region is not None:
            drawing = drawing_of(finding.region, basis.sources, planes)
            header, number = drawing.header, drawing.frame_number
            yield KeyFrame(header=header, number=number, finding=finding, drawing=drawing)
        elif finding.image in by_uid:
            yield KeyFrame(header=by_uid[finding.image], number=None, finding=finding)
