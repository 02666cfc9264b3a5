"""What jobs made, object by object and peer by peer, and which rejection notes name it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from dicom_ai_node.database import jobs
from dicom_ai_node.database.retracted import is_note
from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.job import AT_PEER, DeliveryState, Job, JobState

REJECTED = "rejected"  # what is named in place of an input: the instances that the note rejects
GIVEN_UP = "given up after its maximal age"  # begins the status: no word of the peer's


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsOf:
    """Which jobs are meant: those of which all this is true; None says nothing."""

    model: str | None = None
    version: str | None = None
    study_instance_uid: str | None = None
    job_ids: tuple[int, ...] | None = None

    @property
    def is_of_model(self) -> bool:
        """Whatever a model produced, on all studies."""
        return self.study_instance_uid is None and self.job_ids is None

    def clause(self) -> ColumnElement[bool]:
        """Of a row of the job table; notes are no results."""
        said = [
            (job.c.model, self.model),
            (job.c.version, self.version),
            (job.c.study_instance_uid, self.study_instance_uid),
        ]
        clauses = [column == value for column, value in said if value is not None]
        if self.job_ids is not None:
            clauses.append(job.c.id.in_(self.job_ids))
        return and_(~is_note(), *clauses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """One object of one job at one peer; class and series are "" where the row does not say."""

    job: Job
    peer: str
    kind: str
    sop_class_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    file: str
    state: DeliveryState
    tries: int
    status: str | None
    wants_commitment: bool  # it was stored once: a peer without commitment to it may have it still

    @property
    def is_there(self) -> bool:
        return self.state in AT_PEER

    @property
    def may_be_there(self) -> bool:
        """A broken association leaves open what became of the object; a refusal does not."""
        if self.state in (DeliveryState.PENDING, DeliveryState.GIVEN_UP):
            return self.tries > 0
        given_up = (self.status or "").startswith(GIVEN_UP)
        is_refused = self.state is DeliveryState.REFUSED
        return self.is_there or (is_refused and (given_up or self.wants_commitment))


def jobs_of(connection: Connection, of: ResultsOf) -> Sequence[Job]:
    """The oldest first, without notes."""
    query = select(job).where(of.clause()).order_by(job.c.id)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]


def produced(connection: Connection, of: ResultsOf) -> Sequence[Produced]:
    """Every object for every peer, sent or not, the oldest first."""
    by_id = {each.id: each for each in jobs_of(connection, of)}
    query = select(delivery).join(job).where(of.clause()).order_by(delivery.c.id)
    rows = connection.execute(query).mappings()
    return [of_row(row, by_id[row["job_id"]]) for row in rows if row["job_id"] in by_id]


def notes_of(connection: Connection, of: ResultsOf) -> Mapping[tuple[str, str], Job]:
    """By peer and SOP Instance UID, the job of the note that rejects it there."""
    query = select(job).where(is_note(), job.c.state != JobState.CANCELLED)
    if of.is_of_model and of.model is not None:
        query = query.where(job.c.model == of.model)
    else:
        of_jobs = select(job.c.study_instance_uid).where(of.clause()).scalar_subquery()
        query = query.where(job.c.study_instance_uid.in_(of_jobs))
    found: dict[tuple[str, str], Job] = {}
    for row in connection.execute(query.order_by(job.c.id)).mappings():
        note = jobs.of_row(row)
        found |= {(peer, uid): note for peer in note.send_to for uid in note.inputs[REJECTED]}
    return found


def has_result(connection: Connection, current: Job) -> bool:
    """A cancelled job counts where something of it was tried before."""
    if current.state in (JobState.READY, JobState.DONE, JobState.UNDELIVERED):
        return True
    query = select(delivery).where(delivery.c.job_id == current.id)
    rows = connection.execute(query).mappings().all()
    return any(of_row(row, current).may_be_there for row in rows)


def of_row(row: RowMapping, of: Job) -> Produced:
    return Produced(
        job=of,
        peer=row["peer"],
        kind=row["kind"],
        sop_class_uid=row["sop_class_uid"],
        series_instance_uid=row["series_instance_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        file=row["file"],
        state=DeliveryState(row["state"]),
        tries=row["tries"],
        status=row["status"],
        wants_commitment=row["wants_commitment"],
    )
