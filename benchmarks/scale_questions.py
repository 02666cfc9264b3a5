"""What the node asks its table all the time, timed."""

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection

from benchmarks.scale_tables import KEPT, NOW
from dicom_ai_node.database import (
    deliveries,
    jobs,
    jobs_of_study,
    leases,
    open_studies,
    recalls,
    rejections,
    retractions,
    studies,
)
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import JobState

Ask = Callable[[Connection, int], object]  # with the number of jobs, which is the newest study too

_DAYS_AGO = NOW - KEPT * 144.0 - 60  # older than all that is here

READS: Mapping[str, Ask] = {
    "next runnable job": lambda c, _: leases.next_runnable(c, now=NOW),
    "expired leases": lambda c, _: leases.expired_leases(c, now=NOW),
    "what is due for a peer": lambda c, _: deliveries.due(c, "pacs", now=NOW),
    "backlog of each peer": lambda c, _: deliveries.backlog(c),
    "`jobs list`": lambda c, _: jobs.listing(c),
    "`jobs list --state quarantined`": lambda c, _: jobs.listing(c, state=JobState.QUARANTINED),
    "`jobs list --state done`": lambda c, _: jobs.listing(c, state=JobState.DONE),
    "jobs of a study": lambda c, n: jobs.listing(c, study_instance_uid=_uid(c, n)),
    "`studies list`": lambda c, _: studies.listing(c),
    "studies that wait": lambda c, _: studies.waiting(c),
    "studies to purge": lambda c, _: studies.expired(c, before=_DAYS_AGO),
    "notes to purge": lambda c, _: retractions.spent(c, before=_DAYS_AGO),
    "open studies that changed": lambda c, n: open_studies.changed(c, after=n),
    "unread rejection notes": lambda c, _: rejections.unread(c),
    "results to take back": lambda c, _: recalls.due(c, now=NOW),
    "`status`": lambda c, _: books(c),
}
WRITES: Mapping[str, Ask] = {
    "claim": lambda c, _: leases.claim(c, worker="w", lease_s=60, now=NOW),
    "stop a study": lambda c, n: jobs_of_study.cancel_of_study(c, n, why="a benchmark", now=NOW),
}


class _NotKept(Exception):
    """Ends a transaction without its commit."""


def times_ms(database: Database, number: int, *, rounds: int) -> dict[str, float]:
    """Medians; of what writes, without the commit, which is the disk's."""
    found = {}
    for name, ask in WRITES.items():
        found[name] = _median(partial(_written, database, ask, number), rounds)
    with database.read() as connection:
        for name, ask in READS.items():
            found[name] = _median(partial(_timed, connection, ask, number), rounds)
    return found


def _median(timed: Callable[[], float], rounds: int) -> float:
    timed()  # the pages it needs are read
    return statistics.median(timed() for _ in range(rounds))


def _timed(connection: Connection, ask: Ask, number: int) -> float:
    began = time.perf_counter()
    ask(connection, number)
    return (time.perf_counter() - began) * 1000


def _written(database: Database, ask: Ask, number: int) -> float:
    spent = 0.0
    with suppress(_NotKept), database.write() as connection:
        spent = _timed(connection, ask, number)
        raise _NotKept
    return spent


def _uid(connection: Connection, number: int) -> str:
    found = jobs.find(connection, number)
    assert found is not None
    return found.study_instance_uid
