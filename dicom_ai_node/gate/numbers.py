"""The report against the result: the status of the run, and every number of every finding."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.sr.status import STATUS, SUMMARY
from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.content import Item, content_of
from dicom_ai_node.gate.object_file import ObjectFile
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, Result, rounded

# in the place of the usual code, where a part of the analysis failed
WITHOUT_FINDINGS = codes.DCM.NotAllAlgorithmsSucceededWithoutFindings
FINDING, CALLED = codes.DCM.Finding.value, codes.DCM.TrackingIdentifier.value


class Stated(NamedTuple):
    """A number as the report has it: of what, its unit."""

    name: str
    unit: str
    value: float


class Group(NamedTuple):
    """What belongs to one finding: its code, what it is called, and the numbers."""

    code: str
    called: str
    numbers: Sequence[Stated]


def check_report(file: ObjectFile, result: Result, findings: Sequence[Finding]) -> None:
    """`findings` are those that have a place where they need one; ResultMismatch where the report
    states another outcome, or other numbers."""
    items = list(content_of(file))
    _check_status(items, result.outcome)
    groups = [_group(item) for item in items if item.children]
    names = {(finding.code.value, finding.tracking_identifier) for finding in findings}
    for code, name in sorted(names):
        own = [group for group in groups if _is_of(group, code, name)]
        there = Counter(number for group in own for number in group.numbers)
        wanted = Counter(
            _stated(measured.name, measured.unit, measured.value)
            for finding in findings
            if (finding.code.value, finding.tracking_identifier) == (code, name)
            for measured in finding.measurements
        )
        if not own or wanted - there:
            raise ResultMismatch("its numbers are not those that the model measured")


def _check_status(items: Sequence[Item], outcome: Outcome) -> None:
    stated = {item.value for item in items if item.name == SUMMARY.value}
    allowed = {STATUS[outcome].code.value}
    if outcome is Outcome.PARTLY:
        allowed.add(WITHOUT_FINDINGS.value)
    if len(stated) != 1 or not stated <= allowed:
        raise ResultMismatch("it states another outcome")


def _stated(name: Code, unit: Code, value: float) -> Stated:
    return Stated(name=name.value, unit=unit.value, value=rounded(float(value)))


def _is_of(group: Group, code: str, name: str) -> bool:
    """A name that the report's character set may not have says nothing."""
    return group.code == code and (not name.isascii() or name in group.called)


def _group(item: Item) -> Group:
    about = [each.value for each in (item, *item.children) if each.name == FINDING]
    return Group(
        code=about[0] if about else "",
        called=" ".join(each.text for each in item.children if each.name == CALLED),
        numbers=[
            Stated(name=each.name, unit=each.unit, value=rounded(float(each.number)))
            for each in item.children
            if each.number
        ],
    )
