"""How rows say that results were taken back, or rest on images that are not to be used; see
`retractions` and `corrections`."""

from sqlalchemy import ColumnElement, Connection, select

from dicom_ai_node.database.tables import job, job_event
from dicom_ai_node.job import NOTE_SUBJECT

DISCARDED = "its study was discarded by an operator"  # begins the event of a job whose study was
# begins the event of a job whose results are; by whom
RETRACTED = "retracted by an operator: "
RETRACTED_BY_NODE = "retracted by the node: "
_RETRACTED = "retracted by "
CORRECTED = "its images are not to be used: "  # begins the event of a job that was made of them
OTHER_PATIENT = "the study names another patient by now"  # why, where no note says so
AGAIN = "the study is judged again: what has no result is made anew, where a route wants it"
REVIEWED = "a person has looked: what is stored of the study is right"


def is_note() -> ColumnElement[bool]:
    return job.c.subject.startswith(NOTE_SUBJECT, autoescape=True)


def was_retracted() -> ColumnElement[bool]:
    """Of a row of the job table: by its events, which are found by the job's id."""
    return _has_event(_RETRACTED)


def was_corrected(why: str | None = None) -> ColumnElement[bool]:
    """Its images were rejected, or are said to be of two patients, and nobody has cleared that;
    or for this reason."""
    begins = job_event.c.why.startswith(CORRECTED, autoescape=True)
    reviewed = job_event.alias()
    cleared = select(reviewed.c.id).where(
        reviewed.c.job_id == job_event.c.job_id,
        reviewed.c.why == REVIEWED,
        reviewed.c.id > job_event.c.id,
    )
    events = select(job_event.c.id).where(
        job_event.c.job_id == job.c.id,
        begins if why is None else job_event.c.why == f"{CORRECTED}{why}",
        (job_event.c.why != f"{CORRECTED}{OTHER_PATIENT}") | ~cleared.exists(),
    )
    return events.exists()


def is_retracted(connection: Connection, job_id: int) -> bool:
    query = select(job.c.id).where(job.c.id == job_id, was_retracted())
    return connection.scalar(query) is not None


def was_discarded() -> ColumnElement[bool]:
    return _has_event(DISCARDED)


def is_discarded(connection: Connection, job_id: int) -> bool:
    query = select(job.c.id).where(job.c.id == job_id, was_discarded())
    return connection.scalar(query) is not None


def is_corrected(connection: Connection, job_id: int, why: str | None = None) -> bool:
    query = select(job.c.id).where(job.c.id == job_id, was_corrected(why))
    return connection.scalar(query) is not None


def _has_event(beginning: str) -> ColumnElement[bool]:
    events = select(job_event.c.id).where(
        job_event.c.job_id == job.c.id, job_event.c.why.startswith(beginning, autoescape=True)
    )
    return events.exists()
