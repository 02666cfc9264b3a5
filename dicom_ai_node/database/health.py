"""What `doctor` asks the database: is it whole, and what should be on the disk."""

import random
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, func, select, text

from dicom_ai_node.database.tables import delivery, instance, job, job_event, study
from dicom_ai_node.job import AT_PEER, DeliveryState, JobState

_WORDS = 3  # of what SQLite finds wrong, so many lines are enough


def journal_mode(connection: Connection) -> str:
    return str(connection.scalar(text("PRAGMA journal_mode")))


def damage(connection: Connection, *, thorough: bool) -> list[str]:
    """What SQLite finds wrong in the file; thorough: that indexes agree with tables, too."""
    pragma = "integrity_check" if thorough else "quick_check"
    rows = connection.execute(text(f"PRAGMA {pragma}({_WORDS})")).scalars().all()
    broken = connection.execute(text("PRAGMA foreign_key_check")).all() if thorough else []
    said = [row for row in rows if row != "ok"]
    return said + ([f"{len(broken)} rows refer to rows that are not there"] if broken else [])


def latest_moment(connection: Connection) -> float:
    """The newest time that any row speaks of as past; 0 of an empty database."""
    query = select(func.max(study.c.last_received_at)).union_all(
        select(func.max(job.c.created_at)),
        select(job_event.c.at).where(
            job_event.c.id == select(func.max(job_event.c.id)).scalar_subquery()
        ),
    )
    return max((moment for moment in connection.execute(query).scalars() if moment), default=0.0)


def sample(connection: Connection, number: int | None, dice: random.Random) -> Sequence[RowMapping]:
    """So many instances by chance; None: all."""
    if number is None:
        return connection.execute(select(instance.c.file, instance.c.sha256)).mappings().all()
    most = connection.scalar(select(func.max(instance.c.id))) or 0
    wanted = sorted(dice.sample(range(1, most + 1), min(number, most)))
    rows: list[RowMapping] = []
    for begins in range(0, len(wanted), 500):
        part = wanted[begins : begins + 500]
        query = select(instance.c.file, instance.c.sha256).where(instance.c.id.in_(part))
        rows += connection.execute(query).mappings().all()
    return rows


def unsent(connection: Connection) -> Sequence[RowMapping]:
    """What is still to be sent, or may be sent again: key of its job, file, hash."""
    query = (
        select(job.c.key, delivery.c.file, delivery.c.sha256)
        .select_from(job)
        .join(delivery)
        .where(
            job.c.state.in_((JobState.READY, JobState.UNDELIVERED)),
            delivery.c.state.not_in((*AT_PEER, DeliveryState.PASSED, DeliveryState.GIVEN_UP)),
        )
        .distinct()
    )
    return connection.execute(query).mappings().all()


def keys(connection: Connection) -> set[str]:
    return set(connection.execute(select(job.c.key)).scalars())


def last_contact(connection: Connection, peer: str) -> float | None:
    """When the peer last took something."""
    query = select(func.max(delivery.c.finished_at)).where(
        delivery.c.state.in_(AT_PEER), delivery.c.peer == peer
    )
    found: float | None = connection.scalar(query)
    return found
