"""Rows made to order."""

from typing import Any

from sqlalchemy import Connection

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.database import arrivals, deliveries, jobs, leases, new_jobs, studies
from dicom_ai_node.database.arrivals import ReceivedInstance
from dicom_ai_node.database.new_jobs import NewJob
from dicom_ai_node.job import Job, OutboxObject

NOW = 1_700_000_000.0


def an_object(kind: str, number: int, forms: tuple[str, ...], **changes: Any) -> OutboxObject:
    """An object as a report names it."""
    return OutboxObject(
        kind=kind,
        sop_class_uid=_CLASSES.get(kind, "1.2.840.10008.5.1.4.1.1.7"),
        sop_instance_uid=f"2.25.1{number}",
        series_instance_uid=f"2.25.2{number}",
        file=f"{number}-{kind}.dcm",
        forms=forms,
        **changes,
    )


_CLASSES = {
    "labelmap": "1.2.840.10008.5.1.4.1.1.66.7",
    "seg": "1.2.840.10008.5.1.4.1.1.66.4",
    "sr": "1.2.840.10008.5.1.4.1.1.88.34",
}
SEG = OutboxObject(kind="seg", sop_instance_uid="2.25.1", file="1-seg.dcm")
SR = OutboxObject(kind="sr", sop_instance_uid="2.25.2", file="2-sr.dcm")
TWO_FORMS = ResultForms(segmentation=("labelmap", "binary"), also=())
BINARY_ALONE = ResultForms(also=())
_LABELMAP, _BINARY = ("labelmap+comprehensive_3d",), ("binary+comprehensive_3d",)
IN_TWO_FORMS = (
    an_object("labelmap", 1, _LABELMAP),
    an_object("seg", 2, _BINARY),
    an_object("sr", 3, _LABELMAP),
    an_object("sr", 4, _BINARY),
)


def received(instance: str = "1.2.3.1", **changes: object) -> ReceivedInstance:
    standard: dict[str, object] = {
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.3",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "sop_instance_uid": instance,
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "patient_digest": "p" * 64,
        "calling_ae_title": "PACS",
        "called_ae_title": "AI_NODE",
        "sha256": "a" * 64,
        "size": 1000,
    }
    return ReceivedInstance(**(standard | changes))  # type: ignore[arg-type]


def a_study(connection: Connection, uid: str = "1.2") -> int:
    """A study with one instance; its row's id."""
    arrivals.add(
        connection,
        received(f"{uid}.9.9", study_instance_uid=uid, series_instance_uid=f"{uid}.3"),
        f"{uid}.dcm",
        now=NOW,
    )
    row = studies.find(connection, uid)
    assert row is not None
    return int(row["id"])


def new_job(study_id: int, key: str = "k", **changes: object) -> NewJob:
    """Each key is a series of its own, unless a series is given; a series is a subject."""
    series = changes.get("series_instance_uid", f"1.2.{key}")
    standard: dict[str, object] = {
        "key": key,
        "study_id": study_id,
        "study_instance_uid": "1.2",
        "series_instance_uid": series,
        "subject": series,
        "model": "bright",
        "version": "1.0",
        "send_to": ("archive", "pacs"),
        "inputs": {"image": ("1.2.9.9",)},
    }
    return NewJob(**(standard | changes))  # type: ignore[arg-type]


def enqueued(connection: Connection, key: str = "k", *, now: float = NOW, **changes: object) -> Job:
    """A queued job of a study that is there already, or is made."""
    known = studies.find(connection, "1.2")
    study_id = known["id"] if known else a_study(connection)
    job = new_jobs.enqueue(connection, new_job(study_id, key, **changes), now=now)
    assert job is not None
    return job


def claimed(connection: Connection, *, now: float = NOW, lease_s: float = 60) -> Job:
    job = leases.claim(connection, worker="here", lease_s=lease_s, now=now)
    assert job is not None
    return job


def publish(connection: Connection, job: Job) -> None:
    """A result of one SEG and one SR for a job under its lease."""
    deliveries.publish(
        connection, job, (SEG, SR), outcome="findings", reason=None, timings={}, now=NOW
    )


def again(connection: Connection, job: Job) -> Job:
    """The same job as its row is now."""
    found = jobs.find(connection, job.id)
    assert found is not None
    return found
