"""Studies that are still coming, for whoever judges whether they are complete."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, ScalarSelect, func, select, update

from dicom_ai_node.database.tables import erased, study
from dicom_ai_node.study import OPEN_STATES, StudyState


def next_change() -> ScalarSelect[int]:
    """A number greater than that of any study, those included that were deleted: writers come one
    after the other."""
    return select(_last() + 1).scalar_subquery()


def last_change(connection: Connection) -> int:
    return int(connection.scalar(select(_last())) or 0)


def _last() -> ColumnElement[int]:
    """SQLite's max() of several values, each found by an index."""
    found = (
        select(func.coalesce(func.max(table.c.changed), 0)).scalar_subquery()
        for table in (study, erased)
    )
    return func.max(*found)


def changed(connection: Connection, *, after: int) -> Sequence[RowMapping]:
    """Open studies of which something changed after that number, in the order of the changes."""
    query = (
        select(study)
        .where(study.c.changed > after, study.c.state.in_(OPEN_STATES))
        .order_by(study.c.changed)
    )
    return connection.execute(query).mappings().all()


def find_open(connection: Connection, study_id: int) -> RowMapping | None:
    query = select(study).where(study.c.id == study_id, study.c.state.in_(OPEN_STATES))
    return connection.execute(query).mappings().one_or_none()


def mark_changed(connection: Connection, study_instance_uid: str) -> None:
    """Let the tick look at it again, if it is here."""
    connection.execute(
        update(study)
        .where(study.c.study_instance_uid == study_instance_uid)
        .values(changed=next_change())
    )


def association_ended(connection: Connection, study_instance_uid: str, *, at: float) -> None:
    """The last association that brought something for the study has ended, however it did."""
    connection.execute(
        update(study)
        .where(study.c.study_instance_uid == study_instance_uid)
        .values(association_ended_at=at, changed=next_change())
    )


def mark_incomplete(connection: Connection, row: RowMapping, reason: str) -> bool:
    """False when the study has grown since `row` was read, or is not open any more."""
    marked = connection.execute(
        update(study)
        .where(
            study.c.id == row["id"],
            study.c.state.in_(OPEN_STATES),
            study.c.last_received_at == row["last_received_at"],
        )
        .values(state=StudyState.INCOMPLETE, reason=reason)
    )
    return marked.rowcount == 1
