"""The findings of a report: those with a place, drawn; and those without."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from highdicom import sr
from pydicom import Dataset

from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.marked.marked import Marked, place_of
from dicom_ai_node.encoders.marked.regions import drawing_of
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.source.planes import SHOWN, source_planes
from dicom_ai_node.encoders.sr.groups import Group
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

    findings: list[Group] = field(default_factory=list)
    assessments: list[Group] = field(default_factory=list)
    items: list[sr.ContentItem] = field(default_factory=list)
    cited: dict[str, Dataset] = field(default_factory=dict)


def said_of(
    result: Result,
    sources: Sequence[Dataset],
    run: Run,
    parts: Sequence[Marked],
    segs: Sequence[Dataset | None],
) -> Said:
    """`segs` are those of `parts`, as far as they are made.

    A finding whose segment has no voxel is absent, and an absent finding is never reported.
    """
    said = Said()
    findings = result.findings if result.outcome in SHOWN else ()
    called = list(zip(findings, tracking_uids(findings, run.ids), strict=True))
    _say_marked(said, findings, run, parts, segs)
    _say_boxed(said, called, sources, run)
    drawn = bool(said.findings)
    for finding, uid in called:
        if finding.segment_number is None and finding.region is None:
            image = _image(finding.image, sources, said)
            if drawn:
                said.items.append(finding_item(finding, image))
            else:
                said.findings.append(finding_group(finding, image, uid, run))
    for assessment in result.assessments if result.outcome in ASSESSED else ():
        image = _image(assessment.image, sources, said)
        if drawn:
            said.items.append(assessment_item(assessment, image))
        else:
            said.assessments.append(assessment_group(assessment, image, run))
    return said


def _say_marked(
    said: Said,
    findings: Sequence[Finding],
    run: Run,
    parts: Sequence[Marked],
    segs: Sequence[Dataset | None],
) -> None:
    for finding in findings:
        place = place_of(finding, parts)
        if place is not None:
            seg = segs[place.object_number] if segs else None
            said.findings.extend(segment_groups(finding, place, seg, run))
            said.cited[str(place.plane.header.SOPInstanceUID)] = place.plane.header


def _say_boxed(
    said: Said, called: Sequence[tuple[Finding, str]], sources: Sequence[Dataset], run: Run
) -> None:
    in_patient = any(isinstance(finding.region, BoxInPatient) for finding, _ in called)
    planes = source_planes(sources) if in_patient else []
    for finding, uid in called:
        if finding.region is not None and finding.segment_number is None:
            drawing = drawing_of(finding.region, sources, planes)
            said.findings.extend(region_groups(finding, drawing, uid, run))
            said.cited[str(drawing.header.SOPInstanceUID)] = drawing.header


def tracking_uids(findings: Sequence[Finding], ids: DerivedIds) -> list[str]:
    """Of findings that no segment locates; that of a second one of the same name differs."""
    seen: Counter[tuple[str, ...]] = Counter()
    uids = []
    for finding in findings:
        code = finding.code
        what = (finding.tracking_identifier, code.scheme_designator, code.value)
        parts = (*what, finding.image) if finding.image else what
        further = [seen[parts]] if seen[parts] else []
        seen[parts] += 1
        uids.append(ids.uid("tracking", "finding", *parts, *further))
    return uids


def _image(uid: str | None, sources: Sequence[Dataset], said: Said) -> Dataset | None:
    if uid is None:
        return None
    for source in sources:
        if str(source.SOPInstanceUID) == uid:
            said.cited[uid] = source
            return source
    raise ModelError("A finding lies on an image that was not analysed.")
