"""Studies that a person holds: nothing of them is deleted, however old they grow."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select, update

from dicom_ai_node.database.tables import study
from dicom_ai_node.errors import NodeError


def hold(connection: Connection, study_instance_uid: str, *, by: str, why: str, now: float) -> bool:
    """False where there is no such study; another hold on it is replaced."""
    held = connection.execute(
        update(study)
        .where(study.c.study_instance_uid == study_instance_uid)
        .values(held_at=now, held_by=by[:64], held_why=why)
    )
    return held.rowcount == 1


def release(connection: Connection, study_instance_uid: str) -> bool:
    """False where nobody holds it."""
    released = connection.execute(
        update(study)
        .where(study.c.study_instance_uid == study_instance_uid, study.c.held_at.is_not(None))
        .values(held_at=None, held_by=None, held_why=None)
    )
    return released.rowcount == 1


def every(connection: Connection) -> Sequence[RowMapping]:
    """Studies that somebody holds."""
    return connection.execute(select(study).where(study.c.held_at.is_not(None))).mappings().all()


def require_free(row: RowMapping) -> None:
    """Raises NodeError where somebody holds it."""
    if row["held_at"] is not None:
        raise NodeError(
            f"{row['held_by']} holds the study ({row['held_why']}): ask there, then `studies "
            "release` it first"
        )
