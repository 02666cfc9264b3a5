"""What a report says, and where that is not what was due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dicom_ai_node.config.expected import Expected, ExpectedMeasurement
from dicom_ai_node.job import Outcome

# PS3.16: Measurement Group, Tracking Identifier, Finding
_GROUP, _TRACKING, _FINDING = "125007", "112039", "121071"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One number of a report (TID 1410, 1411, 1501), by what it is about."""

    findings: frozenset[str]  # tracking identifier, and the meaning of the finding's code
    name: str
    value: float


def differences(outcome: Outcome | None, reports: Sequence[Dataset], due: Expected) -> list[str]:
    """In words; none where the answer is the known one."""
    wrong = []
    if outcome is not due.outcome:
        wrong.append(f"the outcome is {outcome}, and {due.outcome} was due")
    found = [each for report in reports for each in measured(report)]
    for each in due.measurements:
        values = [
            one.value for one in found if each.finding in one.findings and one.name == each.name
        ]
        if not any(_agrees(value, each) for value in values):
            said = f"is {values[0]:g}" if values else "is not there"
            wrong.append(
                f"{each.finding}: {each.name} {said}, and {each.value:g} ± {each.tolerance:g} was "
                "due"
            )
    return wrong


def _agrees(value: float, due: ExpectedMeasurement) -> bool:
    return abs(value - due.value) <= due.tolerance


def measured(report: Dataset) -> Iterator[Measured]:
    """Every number in its measurement groups."""
    for group in _groups(report):
        items = group.get("ContentSequence", [])
        names = frozenset(filter(None, (_name(each) for each in items)))
        for item in items:
            if item.ValueType == "NUM" and item.MeasuredValueSequence:
                value = item.MeasuredValueSequence[0]
                number = value.get("FloatingPointValue", value.NumericValue)
                name = item.ConceptNameCodeSequence[0].CodeMeaning
                yield Measured(findings=names, name=str(name), value=float(number))


def _groups(item: Dataset) -> Iterator[Dataset]:
    for below in item.get("ContentSequence", []):
        if below.ValueType == "CONTAINER":
            if below.ConceptNameCodeSequence[0].CodeValue == _GROUP:
                yield below
            yield from _groups(below)


def _name(item: Dataset) -> str:
    if "ConceptNameCodeSequence" not in item:
        return ""
    code = item.ConceptNameCodeSequence[0].get("CodeValue")
    if code == _TRACKING and item.ValueType == "TEXT":
        return str(item.TextValue)
    if code == _FINDING and item.ValueType == "CODE":
        return str(item.ConceptCodeSequence[0].CodeMeaning)
    return ""
