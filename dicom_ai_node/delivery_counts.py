"""What the answers of a peer come to, for the metrics."""

from collections.abc import Sequence

from dicom_ai_node import metrics
from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Delivery, DeliveryState
from dicom_ai_node.peers.peer import ALTERED, UNREADABLE, StoreOutcome

_NOT_ASKED = (ALTERED, UNREADABLE)  # refused by us


def answered(
    peer: str,
    rows: Sequence[Delivery],
    outcomes: Sequence[StoreOutcome],
    database: Database,
    *,
    now: float,
) -> None:
    """Of deliveries of one job, whose answers are on record."""
    for outcome in outcomes:
        if outcome.was_tried:
            metrics.DELIVERY_TRIES.labels(peer, _in_a_word(outcome)).inc()
            if outcome.state is not DeliveryState.PENDING and outcome not in _NOT_ASKED:
                metrics.LAST_CONTACT.labels(peer).set(now)
    if any(outcome.state is DeliveryState.STORED for outcome in outcomes):
        _delivered(peer, rows[0], database, now)


def _delivered(peer: str, sent: Delivery, database: Database, now: float) -> None:
    """Once for each job and peer: when nothing of it waits any more."""
    with database.read() as connection:
        of_job = deliveries.of_job(connection, sent.job_id)
        job = jobs.find(connection, sent.job_id)
    waits = any(row["peer"] == peer and row["state"] == DeliveryState.PENDING for row in of_job)
    if job is not None and not job.is_note and not waits:
        metrics.observe_stage("deliver", job.model, now - sent.created_at)


def _in_a_word(outcome: StoreOutcome) -> str:
    if outcome.state is DeliveryState.STORED:
        return "stored_with_warning" if outcome.has_warning else "stored"
    return "again" if outcome.state is DeliveryState.PENDING else "refused"
