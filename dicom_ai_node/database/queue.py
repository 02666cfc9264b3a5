"""The queue: how many jobs wait for a worker, and since when the oldest could have begun."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from dicom_ai_node.database.tables import job
from dicom_ai_node.job import JobState, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """`age_s` is 0 where nothing could have begun: no job, or all wait for their hours."""

    jobs: int
    age_s: float


def queue(connection: Connection, *, now: float) -> Mapping[Priority, Queued]:
    """Of each priority; those that wait for another job's mask are counted, and not old."""
    may_begin = func.max(job.c.created_at, job.c.run_after)
    query = (
        select(job.c.priority, func.count(), func.min(may_begin))
        .where(job.c.state == JobState.QUEUED)
        .group_by(job.c.priority)
    )
    found = {
        priority: Queued(jobs=number, age_s=max(0.0, now - oldest))
        for priority, number, oldest in connection.execute(query)
    }
    return {each: found.get(each.value, Queued(jobs=0, age_s=0.0)) for each in Priority}
