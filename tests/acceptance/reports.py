"""What a report says, read from its content tree."""

from collections.abc import Iterator

from pydicom import Dataset

VOLUME = "118565006"  # SCT


def volume_ml(report: Dataset) -> float:
    """The value of the one NUM item whose concept is Volume."""
    found = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in items(report)
        if item.get("ValueType") == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == VOLUME
    ]
    assert len(found) == 1
    return found[0]


def items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from items(child)
