"""What a person decides about a study: that what is stored is right, or that it goes."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, delete, select, update

from dicom_ai_node.database import jobs_of_study
from dicom_ai_node.database.open_studies import next_change
from dicom_ai_node.database.tables import delivery, fetch, instance, job, study
from dicom_ai_node.job import AT_PEER, DeliveryState, JobState
from dicom_ai_node.study import StudyState


def accept(connection: Connection, row: RowMapping, patient_digest: str) -> bool:
    """It is judged like any other study; False where it has changed since it was looked at."""
    accepted = connection.execute(
        update(study)
        .where(
            study.c.id == row["id"],
            study.c.state == StudyState.NEEDS_REVIEW,
            study.c.last_received_at == row["last_received_at"],
        )
        .values(
            state=StudyState.RECEIVING,
            reason=None,
            patient_digest=patient_digest,
            changed=next_change(),
        )
    )
    return accepted.rowcount == 1


def discard(connection: Connection, study_id: int, *, now: float) -> list[str]:
    """Forget its instances and whose they were, stop its jobs, and return the files.

    Raises LeaseLost where a job runs.
    """
    jobs_of_study.discard_of_study(connection, study_id, now=now)
    files = connection.execute(select(instance.c.file).where(instance.c.study_id == study_id))
    names = list(files.scalars())
    connection.execute(delete(instance).where(instance.c.study_id == study_id))
    connection.execute(
        update(study)
        .where(study.c.id == study_id)
        .values(
            state=StudyState.DISCARDED,
            reason="by an operator",
            patient_digest="",
            changed=next_change(),
        )
    )
    return names


def users(connection: Connection, row: RowMapping) -> Sequence[int]:
    """Jobs that read its files at this moment: its own, and those it is a prior for."""
    compared = select(fetch.c.for_study_id).where(
        fetch.c.study_instance_uid == row["study_instance_uid"]
    )
    query = select(job.c.id).where(
        job.c.state == JobState.RUNNING,
        (job.c.study_id == row["id"]) | job.c.study_id.in_(compared),
    )
    return connection.execute(query).scalars().all()


def results_out(connection: Connection, study_id: int) -> Sequence[RowMapping]:
    """Model, version and peer of each object that a peer has, or may have."""
    on_its_way = (delivery.c.tries > 0) | (job.c.state == JobState.READY)
    tried = (delivery.c.state == DeliveryState.PENDING) & on_its_way
    query = (
        select(job.c.model, job.c.version, delivery.c.peer)
        .select_from(job)
        .join(delivery)
        .where(job.c.study_id == study_id, delivery.c.state.in_(AT_PEER) | tried)
        .distinct()
    )
    return connection.execute(query).mappings().all()
