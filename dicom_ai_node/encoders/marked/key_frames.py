"""Where each finding is seen best: one frame of the source for each."""

from typing import NamedTuple

from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.marked import place_of
from dicom_ai_node.encoders.marked.regions import drawing_of
from dicom_ai_node.encoders.source.planes import SHOWN, source_planes
from dicom_ai_node.result import Finding


class SourceFrame(NamedTuple):
    """`number` (from 1) only where the instance has several frames."""

    header: Dataset
    number: int | None


def key_frames(basis: Basis) -> list[SourceFrame]:
    """In the order of the findings; a finding of the whole study has none."""
    if basis.result.outcome not in SHOWN:
        return []
    found = (_frame(finding, basis) for finding in basis.result.findings)
    return [frame for frame in found if frame is not None]


def _frame(finding: Finding, basis: Basis) -> SourceFrame | None:
    if finding.segment_number is not None:
        place = place_of(finding, basis.parts)
        return None if place is None else SourceFrame(place.plane.header, place.plane.frame_number)
    if finding.region is not None:
        drawing = drawing_of(finding.region, basis.sources, source_planes(basis.sources))
        return SourceFrame(drawing.header, drawing.frame_number)
    by_uid = {str(source.SOPInstanceUID): source for source in basis.sources}
    header = by_uid.get(finding.image or "")
    return None if header is None else SourceFrame(header, None)
