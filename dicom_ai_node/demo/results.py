"""What came back, read from the archive's files, and how long it took, from the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicom_ai_node.database import jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import Job, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    name: str
    what: str
    seconds: float


def volume_ml(report: Path) -> float:
    """The brain's volume, out of the NUM item of the report that came back."""
    for item in _items(pydicom.dcmread(report)):
        if item.get("ValueType") == "NUM" and _named(item, codes.SCT.Volume.value):
            measured = item.MeasuredValueSequence[0]
            if measured.MeasurementUnitsCodeSequence[0].CodeValue == "mL":
                return float(measured.NumericValue)
    raise NodeError(f"the report {report} names no volume: read it with a viewer of DICOM reports")


def job_of(database: Database, study_instance_uid: str) -> Job | None:
    with database.read() as connection:
        found = jobs.listing(connection, study_instance_uid=study_instance_uid, limit=1)
    return found[0] if found else None


def stages(database: Database, job: Job) -> list[Stage]:
    """Each from the end of the one before it, so far as the database knows both."""
    with database.read() as connection:
        study = studies.find(connection, job.study_instance_uid)
        moved = {row["to_state"]: row["at"] for row in jobs.events(connection, job.id)}
    if study is None or JobState.DONE not in moved:
        raise NodeError(f"job {job.id} is not done: see `dicom-ai-node jobs show {job.id}`")
    first, last, routed = (
        study[key] for key in ("first_received_at", "last_received_at", "routed_at")
    )
    spent = job.timings
    queued, running, ready, done = (
        moved[state] for state in (JobState.QUEUED, JobState.RUNNING, JobState.READY, JobState.DONE)
    )
    return [
        Stage(name="received", what="first to last image stored", seconds=last - first),
        Stage(name="complete", what="nothing more has come (quiet time)", seconds=routed - last),
        Stage(name="queued", what="until the worker took it", seconds=running - queued),
        Stage(name="loaded", what="images and model", seconds=_sum(spent, ("load", "open"))),
        Stage(name="inferred", what="the model's answer", seconds=_sum(spent, ("predict",))),
        Stage(name="encoded", what="SEG, SR and summary", seconds=_sum(spent, ("encode",))),
        Stage(name="delivered", what="all stored at the archive", seconds=done - ready),
        Stage(name="altogether", what="last image to last result", seconds=done - last),
    ]


def _sum(timings: Mapping[str, float], names: Sequence[str]) -> float:
    return sum(timings.get(name, 0.0) for name in names)


def _items(item: Dataset) -> list[Dataset]:
    found = [item]
    for child in item.get("ContentSequence", ()):
        found += _items(child)
    return found


def _named(item: Dataset, value: str) -> bool:
    names = item.get("ConceptNameCodeSequence")
    return bool(names) and names[0].get("CodeValue") == value
