"""The report against the result: the status of the run, and every number and side of a finding."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.sr.names import LATERALITY
from dicom_ai_node.encoders.sr.status import STATUS, SUMMARY
from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.content import Item, content_of
from dicom_ai_node.gate.object_file import ObjectFile
from dicom_ai_node.job import Outcome
from dicom_ai_node.laterality import LATERALITY_CODES
from dicom_ai_node.result import Finding, Result, rounded

DIGITS = 12  # a decimal string has room for 16 characters
# in the place of the usual code, where a part of the analysis failed
WITHOUT_FINDINGS = codes.DCM.NotAllAlgorithmsSucceededWithoutFindings
FINDING, CALLED = codes.DCM.Finding.value, codes.DCM.TrackingIdentifier.value


class Stated(NamedTuple):
    """A number as the report has it: of what, its unit."""

    name: str
    unit: str
    value: float


class Group(NamedTuple):
    """What belongs to one finding: its code, what it is called, the numbers, codes of its sides."""

    code: str
    called: str
    numbers: Sequence[Stated]
    sides: frozenset[str]


def check_report(file: ObjectFile, result: Result, findings: Sequence[Finding]) -> None:
    """`findings` are those that have a place where they need one; ResultMismatch where the report
    states another outcome, other numbers or other sides."""
    items = list(content_of(file))
    _check_status(items, result.outcome)
    groups = [_group(item) for item in items if item.children]
    alike: dict[tuple[str, frozenset[str]], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.code.value, _names(finding, findings)), []).append(finding)
    for (code, names), those in alike.items():
        own = [group for group in groups if _is_of(group, code, names)]
        there = Counter(number for group in own for number in group.numbers)
        wanted = Counter(
            _stated(measured.name, measured.unit, measured.value)
            for finding in those
            for measured in finding.measurements
        )
        if not own or wanted - there:
            raise ResultMismatch("its numbers are not those that the model measured")
        sides = {
            LATERALITY_CODES[each.laterality].value
            for each in those
            if each.site is not None and each.laterality is not None  # a side is that of a site
        }
        if not sides <= frozenset().union(*(group.sides for group in own)):
            raise ResultMismatch("it states another side")


def _check_status(items: Sequence[Item], outcome: Outcome) -> None:
    stated = {item.value for item in items if item.name == SUMMARY.value}
    allowed = {STATUS[outcome].code.value}
    if outcome is Outcome.PARTLY:
        allowed.add(WITHOUT_FINDINGS.value)
    if len(stated) != 1 or not stated <= allowed:
        raise ResultMismatch("it states another outcome")


def _stated(name: Code, unit: Code, value: float) -> Stated:
    return Stated(name=name.value, unit=unit.value, value=_rounded(value))


def _rounded(value: float) -> float:
    return float(f"{rounded(float(value)):.{DIGITS}g}")


def _names(finding: Finding, findings: Sequence[Finding]) -> frozenset[str]:
    """What its groups may be called: findings on one segment have the tracking identifier of that,
    which is the name of the first."""
    number = finding.segment_number
    on_segment = [each for each in findings if number is not None and each.segment_number == number]
    return frozenset(each.tracking_identifier.rstrip() for each in (finding, *on_segment))


def _is_of(group: Group, code: str, names: Collection[str]) -> bool:
    """A name that the report's character set may not have says nothing."""
    return group.code == code and any(not name.isascii() or name in group.called for name in names)


def _group(item: Item) -> Group:
    about = [each.value for each in (item, *item.children) if each.name == FINDING]
    return Group(
        code=about[0] if about else "",
        called=" ".join(each.text for each in item.children if each.name == CALLED),
        numbers=[
            Stated(name=each.name, unit=each.unit, value=_rounded(float(each.number)))
            for each in item.children
            if each.number
        ],
        sides=frozenset(
            below.value
            for each in item.children
            for below in each.children
            if below.name == LATERALITY.value
        ),
    )
