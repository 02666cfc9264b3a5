"""A node's table after years: so many jobs, mostly done, with their events and deliveries."""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database

NOW = 1_800_000_000.0
EVERY_S = 144.0  # a study comes: 600 a day
KEPT = 8400  # studies whose images are here: those of 14 days
INSTANCES = 8  # of each of these
# what a node has at any time, however long it has run; all other jobs are done or cancelled
LIVE = {"queued": 20, "running": 2, "ready": 20, "undelivered": 5, "quarantined": 5}
_STATES = [state for state, number in LIVE.items() for _ in range(number)]
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
_CANCELLED_EVERY = 50
_AT_ONCE = 20_000
_OBJECTS = ("seg", "sr")
_EVENTS = (
    (None, "queued", None),
    ("queued", "running", "attempt by worker-1"),
    ("running", "ready", "outcome findings"),
    ("ready", "done", "every object is delivered"),
)


@dataclass(frozen=True, kw_only=True)
class _Past:
    """One study and its job; the newest are the live ones."""

    number: int
    of: int

    @property
    def age(self) -> int:
        return self.of - self.number

    @property
    def at(self) -> float:
        return NOW - self.age * EVERY_S

    @property
    def state(self) -> str:
        if self.age < len(_STATES):
            return _STATES[self.age]
        return "cancelled" if self.number % _CANCELLED_EVERY == 0 else "done"

    def uid(self, *parts: object) -> str:
        """Neighbours in time are none in an index."""
        salt = zlib.crc32(repr(parts).encode())
        return f"2.25.{(self.number * _SPREAD + (salt << 64)) % (1 << 120)}"


def fill(path: Path, number: int) -> Database:
    """A database in its own file, as `number` jobs have left it."""
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    with sqlite3.connect(path) as connection:
        for setting in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {setting}")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:  # built again at the end, which is sooner done
            connection.execute(f"DROP INDEX {name}")
        past = [_Past(number=each, of=number) for each in range(1, number + 1)]
        _insert(connection, "study", (_study(each) for each in past))
        kept = past[-KEPT:]
        _insert(connection, "instance", (row for each in kept for row in _instances(each)))
        _insert(connection, "job", (_job(each) for each in past))
        _insert(connection, "job_event", (row for each in past for row in _events(each)))
        _insert(connection, "delivery", (row for each in past for row in _deliveries(each)))
        for _, sql in indexes:
            connection.execute(sql)
    connection.close()
    return database


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    while some := list(islice(rows, _AT_ONCE)):
        names = ", ".join(some[0])
        places = ", ".join(f":{name}" for name in some[0])
        connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", some)  # noqa: S608


def _study(each: _Past) -> dict[str, Any]:
    return {
        "id": each.number,
        "study_instance_uid": each.uid("study"),
        "state": "routed" if each.age < KEPT else "purged",
        "calling_ae_title": "PACS",
        "called_ae_title": "AI_NODE",
        "revision": 1,
        "patient_digest": hashlib.sha256(str(each.number // 2).encode()).hexdigest(),
        "first_received_at": each.at,
        "last_received_at": each.at + 30,
        "routed_at": each.at + 90,
        "changed": each.number,
    }


def _instances(each: _Past) -> Iterator[dict[str, Any]]:
    for k in range(INSTANCES):
        yield {
            "study_id": each.number,
            "series_instance_uid": each.uid("series"),
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
            "sop_instance_uid": each.uid("instance", k),
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "sha256": hashlib.sha256(each.uid(k).encode()).hexdigest(),
            "size": 524_288,
            "file": hashlib.sha256(each.uid("file", k).encode()).hexdigest()[:32],
            "received_at": each.at + k,
        }


def _job(each: _Past) -> dict[str, Any]:
    state = each.state
    inputs = {"image": [each.uid("instance", k) for k in range(INSTANCES)]}
    is_running = state == "running"
    return {
        "id": each.number,
        "key": hashlib.sha256(each.uid("key").encode()).hexdigest(),
        "study_id": each.number,
        "study_instance_uid": each.uid("study"),
        "series_instance_uid": each.uid("series"),
        "model": "brain-mr",
        "version": "1.0.0",
        "subject": each.uid("series"),
        "send_to": '["pacs"]',
        "inputs": json.dumps(inputs),
        "uses": "{}",
        "maps": "[]",
        "state": state,
        "outcome": None if state in ("queued", "running") else "findings",
        "priority": "routine",
        "rank": each.at + 1800,
        "attempts": 0 if state == "queued" else 1,
        "lease_id": each.uid("lease")[:36] if is_running else None,
        "lease_expires_at": NOW + 60 if is_running else None,
        "worker": "worker-1" if is_running else None,
        "run_after": each.at,
        "created_at": each.at,
        "timings": "{}",
    }


def _events(each: _Past) -> Iterator[dict[str, Any]]:
    last = {"queued": 1, "running": 2, "ready": 3}.get(each.state, 4)
    for index, (before, after, why) in enumerate(_EVENTS[:last]):
        at = each.at + index
        yield {"job_id": each.number, "at": at, "from_state": before, "to_state": after, "why": why}


def _deliveries(each: _Past) -> Iterator[dict[str, Any]]:
    if each.state in ("queued", "running", "quarantined"):
        return
    states = {"ready": "pending", "undelivered": "refused"}
    for kind in _OBJECTS:
        yield {
            "job_id": each.number,
            "peer": "pacs",
            "kind": kind,
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.66.4",
            "sop_instance_uid": each.uid(kind),
            "series_instance_uid": each.uid(kind, "series"),
            "file": f"{kind}.dcm",
            "sha256": "0" * 64,
            "rungs": "[]",
            "state": states.get(each.state, "stored"),
            "tries": 0 if each.state == "ready" else 1,
            "next_try_at": each.at,
            "created_at": each.at,
            "wants_commitment": 0,
        }
