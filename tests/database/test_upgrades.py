"""From each version that the schema has had, with rows in every table: all is kept, and works."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, insert, inspect, select, text

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, schema, studies
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.purge import purge_expired
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright

OLD = 1_600_000_000.0
UIDS = ["1.2.3.1", "1.2.3.2"]
_JOB = {"study_id": 1, "study_instance_uid": "1.2", "series_instance_uid": "1.2.3"} | {
    "model": "bright",
    "version": "0.9",
    "subject": "1.2.3",
    "send_to": ["archive"],
    "uses": {},
    "maps": [],
    "attempts": 1,
    "rank": OLD,
    "run_after": OLD,
    "created_at": OLD,
    "timings": {},
}
# what the versions wrote; each table takes of it the columns that it has
ROWS: list[tuple[str, dict[str, Any]]] = [
    *(
        (
            "study",
            {
                "id": number,
                "study_instance_uid": uid,
                "state": state,
                "calling_ae_title": "PACS",
                "called_ae_title": "AI_NODE",
                "revision": 1,
                "patient_digest": "p",
                "first_received_at": OLD,
                "last_received_at": OLD,
                "routed_at": OLD,
                "changed": number,
            },
        )
        for number, (uid, state) in enumerate([("1.2", "routed"), ("1.4", "needs_review")], 1)
    ),
    *(
        (
            "instance",
            {
                "study_id": 1,
                "series_instance_uid": "1.2.3",
                "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
                "sop_instance_uid": uid,
                "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                "sha256": "a" * 64,
                "size": 10,
                "file": f"ab{uid}.dcm",
                "received_at": OLD,
            },
        )
        for uid in UIDS
    ),
    (
        "verdict",
        {
            "study_id": 1,
            "series_instance_uid": "1.2.3",
            "part": "",
            "modality": "CT",
            "instances": 2,
            "route": "bright",
            "input": "image",
            "matched": True,
            "chosen": True,
            "score": 0.0,
            "failed_clauses": [],
            "held_clauses": [],
            "at": OLD,
        },
    ),
    ("job", {**_JOB, "id": 1, "key": "k1", "state": "done", "outcome": "findings"}),
    (
        "job",
        {**_JOB, "id": 2, "key": "k2", "state": "ready", "outcome": "findings", "supersedes": 1},
    ),
    ("job_event", {"job_id": 1, "at": OLD, "to_state": "queued"}),
    *(
        (
            "delivery",
            {
                "job_id": job,
                "peer": "archive",
                "kind": "seg",
                "sop_class_uid": "",
                "sop_instance_uid": f"2.25.{job}",
                "series_instance_uid": "",
                "file": "1-seg.dcm",
                "sha256": "",
                "rungs": [],
                "state": state,
                "tries": 1,
                "next_try_at": OLD,
                "created_at": OLD,
                "finished_at": OLD if state == "stored" else None,
            },
        )
        for job, state in ((1, "stored"), (2, "pending"))
    ),
    (
        "commitment",
        {
            "transaction_uid": "2.25.9",
            "calling_ae_title": "PACS",
            "called_ae_title": "AI_NODE",
            "references": [["1.2", "1.2.3.1"]],
            "state": "waiting",
            "tries": 0,
            "next_try_at": OLD,
            "created_at": OLD,
        },
    ),
    (
        "expectation",
        {
            "study_instance_uid": "1.2",
            "series_instance_uid": "",
            "source": "pacs",
            "origin": "pacs",
            "instances": 2,
            "is_final": True,
            "at": OLD,
        },
    ),
    (
        "fetch",
        {
            "study_instance_uid": "1.6",
            "for_study_id": 1,
            "peer": "pacs",
            "state": "done",
            "tries": 1,
            "next_try_at": OLD,
            "created_at": OLD,
        },
    ),
    (
        "commitment_request",
        {
            "transaction_uid": "2.25.10",
            "peer": "archive",
            "state": "waiting",
            "created_at": OLD,
            "expires_at": OLD,
        },
    ),
    ("rejection_note", {"id": 1, "sop_instance_uid": "2.25.11", "code": "113001", "read_at": OLD}),
    ("rejection", {"rejection_note_id": 1, "sop_instance_uid": "2.25.12"}),
    (
        "recall",
        {
            "job_id": 1,
            "rejection": "retract",
            "why": "w",
            "tries": 0,
            "next_try_at": OLD,
            "created_at": OLD,
        },
    ),
    (
        "alarm",
        {
            "id": 1,
            "name": "n",
            "subject": "archive",
            "severity": "warning",
            "text": "t",
            "since": OLD,
            "seen_at": OLD,
            "told_at": OLD,
        },
    ),
    (
        "notification",
        {
            "alarm_id": 1,
            "channel": "email",
            "what": "raised",
            "state": "pending",
            "tries": 0,
            "next_try_at": OLD,
            "created_at": OLD,
        },
    ),
    (
        "probe_run",
        {
            "study_instance_uid": "2.25.13",
            "model": "threshold-ct",
            "peer": "archive",
            "stage": "asking",
            "started_at": OLD,
            "is_removed": False,
        },
    ),
    (
        "web_token",
        {
            "name": "anna",
            "role": "act",
            "sha256": "c" * 64,
            "created_at": OLD,
        },
    ),
]


def filled(database: Database, version: str) -> dict[str, int]:
    """A database as that version had it; how many rows are in each table."""
    schema.upgrade(database, version)
    there = MetaData()
    with database.write() as connection:
        there.reflect(connection)
        for name, values in ROWS:
            if name in there.tables:
                connection.execute(insert(there.tables[name]).values(**_known(there, name, values)))
        return counted(database, connection)


def _known(there: MetaData, name: str, values: dict[str, Any]) -> dict[str, Any]:
    table: Table = there.tables[name]
    had_names = "subject" in table.c  # from 0003 on
    all_values = {**values}
    if name == "job":
        all_values |= {"inputs": {"image": UIDS} if had_names else UIDS}
        all_values |= {"priority": "routine" if had_names else 100}
    return {
        key: json.dumps(value) if str(table.c[key].type) == "TEXT" and value == [] else value
        for key, value in all_values.items()
        if key in table.c
    }


def counted(database: Database, connection: Any) -> dict[str, int]:
    not_ours = {"alembic_version", "tally"}  # the tallies are counted anew at each upgrade
    names = [name for name in inspect(connection).get_table_names() if name not in not_ours]
    return {
        name: connection.scalar(text(f"SELECT count(*) FROM {name}"))  # noqa: S608
        for name in names
    }


@pytest.fixture
def road(config: Config, spool: Spool, tmp_path: Path) -> Road:
    """A node whose database is not there yet."""
    models = {"bright": bright(tmp_path)}
    return Road(config, spool, Database(config.node.database), models)


@pytest.mark.fault("G9")
@pytest.mark.parametrize("version", schema.known()[:-1])
def test_every_row_is_kept_and_the_node_works_on(road: Road, version: str) -> None:
    database = road.database
    before = filled(database, version)
    assert schema.upgrade(database) == schema.head()
    with database.read() as connection:
        after = counted(database, connection)
        assert {name: after[name] for name in before} == before
        assert all(before.values())
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        assert books(connection).waiting_for == {"archive": 1}
        assert {row["study_instance_uid"] for row in studies.listing(connection)} == {"1.2", "1.4"}

    # what that version had not delivered is delivered
    with database.write() as connection:
        ((row, key),) = deliveries.due(connection, "archive", now=OLD + 1)
        assert (row.sop_instance_uid, key) == ("2.25.2", "k2")
        stored = DeliveryState.STORED
        deliveries.record(connection, row, stored, status="0000", next_try_at=0, now=OLD + 1)
    assert [job.state for job in road.jobs()] == [JobState.DONE, JobState.DONE]

    # another study takes the whole road, and the old one is purged in its time
    arrive(road.spool, database, series(), now=database.now() - 1000)
    assert road.intake.settle_quiet(now=database.now()) == 1
    assert road.work() == 1
    assert [job.state for job in road.jobs()][2:] == [JobState.READY]
    assert purge_expired(road.config, road.spool, database, now=database.now()) == 1
    with database.read() as connection:
        found = {row["study_instance_uid"]: row["state"] for row in studies.listing(connection)}
        versions = connection.scalar(select(schema._VERSION.c.version_num))
    assert (found["1.2"], found["1.4"], versions) == ("purged", "needs_review", schema.head())
    database.close()
