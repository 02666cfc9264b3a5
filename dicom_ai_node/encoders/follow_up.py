"""Findings over the studies of a patient: what is the same thing as in an earlier one keeps its
tracking UID, and its earlier numbers are told, so that change can be read.

The same thing is what one name, code, site and side tell, and what is the only such one in both
studies: of several nodules nobody knows here which was which.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.config.code import parse_code, write_code
from dicom_ai_node.config.package import Package
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.header import words_of
from dicom_ai_node.result import Finding, Result, rounded
from dicom_ai_node.tracked import Tracked, TrackedMeasurement, TrackedStudy
from dicom_ai_node.units import in_words

Key = tuple[str, str, str, str]
_Of = TypeVar("_Of")
_NUMBER = re.compile(r"\s+\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """`matches` are by the index of the finding in the result; `segments` has earlier tracking UIDs
    by the number of the segment."""

    earlier: TrackedStudy | None = None
    matches: Mapping[int, Tracked] = field(default_factory=dict)
    segments: Mapping[int, str] = field(default_factory=dict)

    def segment_uid(self, ids: DerivedIds, number: int, image: str | None = None) -> str:
        """The tracking UID of a segment, or of what it marks on one single image."""
        if number in self.segments:
            return self.segments[number]
        return ids.uid("tracking", "segment", number, *([] if image is None else [image]))

    def uids(self, findings: Sequence[Finding], ids: DerivedIds) -> list[str]:
        """The tracking UIDs of findings that no segment locates; that of a second one of the same
        name differs."""
        seen: Counter[tuple[str, ...]] = Counter()
        uids = []
        for index, finding in enumerate(findings):
            code = finding.code
            what = (finding.tracking_identifier, code.scheme_designator, code.value)
            parts = (*what, finding.image) if finding.image else what
            further = [seen[parts]] if seen[parts] else []
            seen[parts] += 1
            match = self.matches.get(index)
            uids.append(match.uid if match else ids.uid("tracking", "finding", *parts, *further))
        return uids

    def sentences(self, index: int, finding: Finding, run: Run) -> list[str]:
        """What the earlier report said of this finding; none where there is no earlier one."""
        if self.earlier is None or index not in self.matches:
            return []
        now = {(_plain(each.name), _plain(each.unit)) for each in finding.measurements}
        told = [
            f"{parse_code(each.name).meaning} {each.value:g} {_unit(each)}".rstrip()
            for each in self.matches[index].measurements
            if (_plain(parse_code(each.name)), _plain(parse_code(each.unit))) in now
        ]
        of = f"{self.earlier.model} {self.earlier.version}"
        if self.earlier.version != run.package.version:
            of = run.say("{model}, another version of the model", model=of)
        date = datetime.strptime(self.earlier.study_date, "%Y%m%d").date()  # noqa: DTZ007 - a day
        measured = ", ".join(told) or run.say("the same finding")
        sentence = "Earlier ({date}, {model}): {measured}."
        return [run.say(sentence, date=date, model=of, measured=measured)]


def _unit(measurement: TrackedMeasurement) -> str:
    return in_words(parse_code(measurement.unit))


NOTHING_EARLIER = FollowUp()


def follow_up(result: Result, earlier: Iterable[TrackedStudy], study_date: str) -> FollowUp:
    """With the newest of `earlier` before `study_date`; either may be no date, and then follows
    nothing."""
    before = [each for each in earlier if _is_date(each.study_date) and _is_date(study_date)]
    before = [each for each in before if each.study_date < study_date]
    newest = max(before, key=lambda each: each.study_date, default=None)
    matches = _matches(result.findings, newest) if newest else {}
    of_segments = Counter(finding.segment_number for finding in result.findings)
    segments = {
        number: match.uid
        for index, match in matches.items()
        if (number := result.findings[index].segment_number) and of_segments[number] == 1
    }
    return FollowUp(earlier=newest, matches=matches, segments=segments)


def tracked_study_of(
    result: Result, ids: DerivedIds, package: Package, following: FollowUp, study_date: str
) -> TrackedStudy:
    """What this run leaves for a later study of the patient."""
    uids = following.uids(result.findings, ids)
    for index, each in enumerate(result.findings):
        if each.segment_number is not None:
            uids[index] = following.segment_uid(ids, each.segment_number, each.image)
    return TrackedStudy(
        study_date=study_date,
        model=str(package.name),
        version=package.version,
        findings=tuple(map(_tracked, result.findings, uids)),
    )


def _tracked(finding: Finding, uid: str) -> Tracked:
    return Tracked(
        name=_NUMBER.sub("", finding.tracking_identifier),
        code=write_code(finding.code),
        site=write_code(finding.site) if finding.site else None,
        laterality=finding.laterality,
        uid=uid,
        measurements=tuple(
            TrackedMeasurement(
                name=write_code(each.name), value=rounded(each.value), unit=write_code(each.unit)
            )
            for each in finding.measurements
        ),
    )


def _matches(findings: Sequence[Finding], earlier: TrackedStudy) -> dict[int, Tracked]:
    before = _only(
        (_key(each.name, each.code, each.site, each.laterality), each) for each in earlier.findings
    )
    now = _only((_key_of(finding), index) for index, finding in enumerate(findings))
    return {index: before[key] for key, index in now.items() if key in before}


def _only(pairs: Iterable[tuple[Key, _Of]]) -> dict[Key, _Of]:
    """Those whose key no other one has."""
    found = list(pairs)
    counts = Counter(key for key, _ in found)
    return {key: value for key, value in found if counts[key] == 1}


def _key_of(finding: Finding) -> Key:
    site = write_code(finding.site) if finding.site else None
    name = finding.tracking_identifier
    return _key(name, write_code(finding.code), site, finding.laterality)


def _key(name: str, code: str, site: str | None, laterality: str | None) -> Key:
    """Codes without their meanings, which are for people."""
    of_site = "" if site is None else ":".join(site.split(":")[:2])
    return _NUMBER.sub("", name), ":".join(code.split(":")[:2]), of_site, laterality or ""


def _plain(code: Code) -> tuple[str, str]:
    return code.scheme_designator, code.value


def _is_date(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a day
    except ValueError:
        return False
    return len(text) == len("20250301")


def study_date(header: Dataset) -> str:
    """As it is in the header; empty where there is none, or nobody says whose study it is: without
    a Patient ID two patients of one name look like one (GUARANTEES P6)."""
    if not words_of(header, "PatientID"):
        return ""
    return next(iter(words_of(header, "StudyDate")), "")
