"""The books: how many studies, jobs and deliveries are where."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.tables import instance, study
from dicom_ai_node.study import StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    instances: int
    studies: dict[str, int]
    jobs: dict[str, int]
    waiting_for: dict[str, int]  # peer -> objects

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def books(connection: Connection) -> Books:
    query = select(study.c.state, func.count()).group_by(study.c.state)
    by_state: dict[str, int] = dict(connection.execute(query).all())
    return Books(
        instances=connection.scalar(select(func.count()).select_from(instance)) or 0,
        studies={state.value: by_state.get(state, 0) for state in StudyState},
        jobs={state.value: number for state, number in jobs.counts(connection).items()},
        waiting_for=deliveries.backlog(connection),
    )
