"""What is asked all the time is found by an index: no look at every row of a table that grows."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from dicom_ai_node.database import (
    arrivals,
    commitments,
    corrections,
    deliveries,
    fetches,
    jobs,
    jobs_of_study,
    leases,
    new_jobs,
    open_studies,
    recalls,
    rejections,
    retractions,
    studies,
)
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import JobState
from dicom_ai_node.spool import Spool
from tests.database.made import new_job
from tests.dicom_factory import series
from tests.made import arrive

NOW = 1_700_000_000.0
# the few instances that may be notes have an index of their own
FEW = "SCAN instance USING INDEX ix_instance_key_objects"
GROW = ("study", "instance", "job", "job_event", "delivery", "verdict", "fetch", "rejection")

ASKED: dict[str, Callable[[Connection], object]] = {
    "claim": lambda c: leases.claim(c, worker="w", lease_s=1, now=NOW),
    "claim beside": lambda c: leases.claim(
        c, worker="w", lease_s=1, now=NOW, disabled=[("m", "1")], untried_only=True
    ),
    "next runnable": lambda c: leases.next_runnable(c, now=NOW),
    "expired leases": lambda c: leases.expired_leases(c, now=NOW),
    "left by a worker": lambda c: leases.running_on(c, "w"),
    "due": lambda c: deliveries.due(c, "pacs", now=NOW),
    "backlog": lambda c: deliveries.backlog(c),
    "queued again": lambda c: [new_jobs.enqueue(c, new_job(1, "k"), now=NOW) for _ in range(2)],
    "deliveries of a job": lambda c: deliveries.of_job(c, 1),
    "jobs by state": lambda c: jobs.listing(c, state=JobState.QUARANTINED),
    "jobs of a study": lambda c: jobs.listing(c, study_instance_uid="1.2"),
    "events": lambda c: jobs.events(c, 1),
    "stopping a study": lambda c: jobs_of_study.cancel_of_study(c, 1, why="w", now=NOW),
    "standing results": lambda c: jobs_of_study.standing_results(c, 1),
    "studies waiting": lambda c: studies.waiting(c),
    "studies to purge": lambda c: studies.expired(c, before=NOW),
    "instances by their UIDs": lambda c: rejections.studies_with(c, ["1.2", "1.3"]),
    "open studies": lambda c: open_studies.changed(c, after=1),
    "last change": lambda c: open_studies.last_change(c),
    "unread notes": lambda c: rejections.unread(c),
    "our objects": lambda c: rejections.is_ours(c, ["2.25.1"]),
    "rejected of a study": lambda c: rejections.of_study(c, 1),
    "made of rejected images": lambda c: corrections.made_from(c, ["1.2"], ["1.3"]),
    "of two patients": lambda c: corrections.of_two_patients(c, after=1),
    "after a look": lambda c: retractions.reviewed(c, 1, now=NOW),
    "recalls": lambda c: recalls.due(c, now=NOW),
    "notes to purge": lambda c: retractions.spent(c, before=NOW),
    "fetches": lambda c: fetches.of_study(c, 1),
    "next fetch": lambda c: fetches.next_due(c, "pacs", now=NOW),
    "commitments": lambda c: commitments.next_due(c),
}


@contextmanager
def statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    said: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        said.append((text, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(connection, "before_cursor_execute", note)


def scanned(connection: Connection, ask: Callable[[Connection], object]) -> list[str]:
    """Lines of SQLite's plans that go through a whole table."""
    with statements(connection) as said:
        ask(connection)
    plans = [
        str(row[3])
        for text, parameters in said
        if text.startswith(("SELECT", "UPDATE", "DELETE"))
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
    ]
    assert plans
    grown = re.compile(rf"SCAN ({'|'.join(GROW)})\b")
    return [line for line in plans if grown.match(line) and line != FEW]


@pytest.mark.parametrize("name", ASKED)
def test_nothing_looks_at_every_row(database: Database, spool: Spool, name: str) -> None:
    arrive(spool, database, series(shape=(2, 4, 4)), now=NOW)
    with database.write() as connection:
        assert scanned(connection, ASKED[name]) == []


def test_lists_begin_at_their_end(database: Database) -> None:
    """They go through a table, in the order of an index, as far as they are long."""
    with database.read() as connection:
        (line,) = scanned(connection, jobs.listing)
        assert line == "SCAN job"  # backwards by its key
        found = scanned(connection, studies.listing)
    assert found == ["SCAN study USING COVERING INDEX ix_study_last_received_at"]


def test_a_look_at_every_row_is_seen(database: Database) -> None:
    with database.read() as connection:
        assert scanned(connection, arrivals.files) != []
