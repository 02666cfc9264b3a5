"""The findings of a report: those with a place, drawn; and those without."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom import Dataset

from dicom_ai_node.encoders.marked.marked import Marked, place_of
from dicom_ai_node.encoders.marked.regions import drawing_of
from dicom_ai_node.encoders.source.planes import SHOWN, source_planes
from dicom_ai_node.encoders.sr.draft import Draft
from dicom_ai_node.encoders.sr.placeless import (
    assessment_group,
    assessment_item,
    finding_group,
    finding_item,
)
from dicom_ai_node.encoders.sr.region_groups import region_groups
from dicom_ai_node.encoders.sr.segment_groups import segment_groups
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInPatient, Finding, Result

ASSESSED = (*SHOWN, Outcome.NONE, Outcome.ABSTAINED)


@dataclass(frozen=True, slots=True)
class Said:
    """Groups for the Imaging Measurements (findings, then assessments), items for beside them, and
    the source images that any of them cites, by UID."""

    findings: list[Dataset] = field(default_factory=list)
    assessments: list[Dataset] = field(default_factory=list)
    items: list[Dataset] = field(default_factory=list)
    cited: dict[str, Dataset] = field(default_factory=dict)


def said_of(
    draft: Draft,
    result: Result,
    sources: Sequence[Dataset],
    parts: Sequence[Marked],
    segs: Sequence[Dataset | None],
) -> Said:
    """`segs` are those of `parts`, as far as they are made.

    A finding whose segment has no voxel is absent, and an absent finding is never reported.
    """
    said = Said()
    findings = result.findings if result.outcome in SHOWN else ()
    _say_marked(said, draft, findings, parts, segs)
    uids = draft.follow_up.uids(findings, draft.run.ids)
    _say_boxed(said, draft, findings, uids, sources)
    drawn = bool(said.findings)
    for index, finding in enumerate(findings):
        if finding.segment_number is None and finding.region is None:
            image = _image(finding.image, sources, said)
            earlier = draft.follow_up.sentences(index, finding, draft.run)
            if drawn:
                said.items.append(finding_item(draft, finding, image, earlier))
            else:
                group = finding_group(draft, finding, image, uids[index], earlier)
                said.findings.append(group)
    for assessment in result.assessments if result.outcome in ASSESSED else ():
        image = _image(assessment.image, sources, said)
        if drawn:
            said.items.append(assessment_item(draft, assessment, image))
        else:
            said.assessments.append(assessment_group(draft, assessment, image))
    return said


def _say_marked(
    said: Said,
    draft: Draft,
    findings: Sequence[Finding],
    parts: Sequence[Marked],
    segs: Sequence[Dataset | None],
) -> None:
    for index, finding in enumerate(findings):
        place = place_of(finding, parts)
        if place is not None:
            seg = segs[place.object_number] if segs else None
            earlier = draft.follow_up.sentences(index, finding, draft.run)
            said.findings.extend(segment_groups(draft, finding, place, seg, earlier))
            said.cited[str(place.plane.header.SOPInstanceUID)] = place.plane.header


def _say_boxed(
    said: Said,
    draft: Draft,
    findings: Sequence[Finding],
    uids: Sequence[str],
    sources: Sequence[Dataset],
) -> None:
    in_patient = any(isinstance(finding.region, BoxInPatient) for finding in findings)
    planes = source_planes(sources) if in_patient else []
    for index, finding in enumerate(findings):
        if finding.region is not None and finding.segment_number is None:
            drawing = drawing_of(finding.region, sources, planes)
            earlier = draft.follow_up.sentences(index, finding, draft.run)
            said.findings.extend(region_groups(draft, finding, drawing, uids[index], earlier))
            said.cited[str(drawing.header.SOPInstanceUID)] = drawing.header


def _image(uid: str | None, sources: Sequence[Dataset], said: Said) -> Dataset | None:
    if uid is None:
        return None
    for source in sources:
        if str(source.SOPInstanceUID) == uid:
            said.cited[uid] = source
            return source
    raise ModelError("A finding lies on an image that was not analysed.")
