"""What a report followed up on may be compared with: the findings of an earlier one, in plain
values that travel in files and between processes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedMeasurement:
    """`name` and `unit` are codes as SCHEME:VALUE:MEANING."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """One finding; `name` is its tracking identifier without the number of a second one of a kind.

    `uid` is its tracking UID, codes are SCHEME:VALUE:MEANING.
    """

    name: str
    code: str
    site: str | None = None
    laterality: str | None = None
    uid: str
    measurements: tuple[TrackedMeasurement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedStudy:
    """All findings of one model in one study; `study_date` as in DICOM: 20250301."""

    study_date: str
    model: str
    version: str
    findings: tuple[Tracked, ...]


def tracked_study(fields: dict[str, Any]) -> TrackedStudy:
    """From what `dataclasses.asdict` and JSON made of one."""
    findings = tuple(_tracked(entry) for entry in fields["findings"])
    return TrackedStudy(**(fields | {"findings": findings}))


def _tracked(entry: dict[str, Any]) -> Tracked:
    measurements = tuple(TrackedMeasurement(**each) for each in entry["measurements"])
    return Tracked(**(entry | {"measurements": measurements}))
