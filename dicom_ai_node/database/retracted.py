"""How rows say that results were taken back; see `retractions`."""

from sqlalchemy import ColumnElement, Connection, Select, select

from dicom_ai_node.database.tables import job, job_event

RETRACTED = "retracted by an operator: "  # begins the event of a job whose results are
SUBJECT = "retraction: "  # begins the subject of a job that is a rejection note


def is_note() -> ColumnElement[bool]:
    return job.c.subject.startswith(SUBJECT, autoescape=True)


def retracted_ids() -> Select[tuple[int]]:
    """Of jobs whose results were retracted."""
    return select(job_event.c.job_id).where(job_event.c.why.startswith(RETRACTED, autoescape=True))


def is_retracted(connection: Connection, job_id: int) -> bool:
    query = retracted_ids().where(job_event.c.job_id == job_id).limit(1)
    return connection.scalar(query) is not None
