"""Results that the node takes back by itself: asked for where a correction comes, done by a role
that can write rejection notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from sqlalchemy import Connection, insert, select, update

from dicom_ai_node.database.pauses import is_over
from dicom_ai_node.database.tables import job, recall


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRecall:
    """One job whose results are to be rejected at each peer that has them."""

    id: int
    job_id: int
    study_instance_uid: str
    rejection: str
    why: str
    tries: int
    status: str | None


def ask(connection: Connection, job_id: int, *, rejection: str, why: str, now: float) -> None:
    known = connection.scalar(select(recall.c.id).where(recall.c.job_id == job_id))
    if known is None:
        connection.execute(
            insert(recall).values(
                job_id=job_id, rejection=rejection, why=why, next_try_at=now, created_at=now
            )
        )


def due(connection: Connection, *, now: float, longest_s: float = inf) -> Sequence[DueRecall]:
    """The oldest first; `longest_s`: see `pauses`."""
    is_due = is_over(recall.c.next_try_at, now=now, longest_s=longest_s)
    query = (
        select(recall, job.c.study_instance_uid)
        .join(job)
        .where(recall.c.finished_at.is_(None), is_due)
        .order_by(recall.c.id)
    )
    return [
        DueRecall(
            id=row["id"],
            job_id=row["job_id"],
            study_instance_uid=row["study_instance_uid"],
            rejection=row["rejection"],
            why=row["why"],
            tries=row["tries"],
            status=row["status"],
        )
        for row in connection.execute(query).mappings()
    ]


def finish(connection: Connection, of: Sequence[DueRecall], *, now: float) -> None:
    """Every peer has been sent a note, or has one waiting."""
    ids = [each.id for each in of]
    changes = update(recall).where(recall.c.id.in_(ids), recall.c.finished_at.is_(None))
    connection.execute(changes.values(finished_at=now, status=None, tries=recall.c.tries + 1))


def put_off(connection: Connection, of: Sequence[DueRecall], *, status: str, until: float) -> None:
    ids = [each.id for each in of]
    changes = update(recall).where(recall.c.id.in_(ids), recall.c.finished_at.is_(None))
    connection.execute(changes.values(next_try_at=until, status=status, tries=recall.c.tries + 1))


def unfinished(connection: Connection, study_instance_uid: str) -> Sequence[str]:
    """Why results of a study are not yet taken back, each sentence once."""
    query = (
        select(recall.c.status)
        .join(job)
        .where(job.c.study_instance_uid == study_instance_uid, recall.c.finished_at.is_(None))
        .distinct()
    )
    return [each or "a rejection note is about to be written" for each in connection.scalars(query)]
