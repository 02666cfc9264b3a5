"""What came out of an attempt, as it lies beside the objects."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dicom_ai_node.job import Outcome
from dicom_ai_node.tracked import TrackedStudy, tracked_study

REPORT = "report.json"
RETRACTED = "retracted"  # beside a report whose objects were rejected: see `outbox_rescan`
# what `read_report` may raise over one that is damaged
UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError),
    *(AttributeError, RecursionError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenObject:
    """`forms` are the labels of those that it is a part of; `frames` and `segments` are 0 for what
    has none."""

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    file: str
    sha256: str
    size: int  # bytes
    frames: int = 0
    segments: int = 0
    forms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came out of it; stored beside the objects, so that a crash cannot separate them."""

    outcome: Outcome
    reason: str | None
    objects: tuple[WrittenObject, ...]
    measurements: tuple[tuple[str, str, float, str], ...]  # finding, name, value, unit
    timings: dict[str, float]
    tracked: TrackedStudy | None = None  # for a later study of the patient


def content_of(report: Report) -> bytes:
    """As it lies in its file."""
    return json.dumps(asdict(report), indent=1).encode()


def read_report(folder: Path) -> Report | None:
    """The report of a finished attempt, or None where none lies; one of UNREADABLE."""
    try:
        fields = json.loads((folder / REPORT).read_bytes())
    except FileNotFoundError:
        return None
    fields["outcome"] = Outcome(fields["outcome"])
    fields["objects"] = tuple(_written(entry) for entry in fields["objects"])
    fields["measurements"] = tuple(tuple(entry) for entry in fields["measurements"])
    tracked = fields.get("tracked")  # of a later day than the first reports
    fields["tracked"] = tracked_study(tracked) if tracked else None
    return Report(**fields)


def _written(entry: dict[str, Any]) -> WrittenObject:
    """A version of before wrote kind, UID and file alone; such reports are published, and used."""
    unknown: dict[str, Any] = {
        "sop_class_uid": "",
        "series_instance_uid": "",
        "sha256": "",
        "size": 0,
    }
    return WrittenObject(**(unknown | entry | {"forms": tuple(entry.get("forms", ()))}))
