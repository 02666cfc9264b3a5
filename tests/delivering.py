"""Results that wait in the outbox, and the queue of a peer that they are sent by."""

import hashlib
import random
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from structlog.testing import capture_logs

from dicom_ai_node import committed, confirm, deliver
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.header import data_of
from dicom_ai_node.job import Job, JobState, OutboxObject
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.peers.peer import Peer
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid
from tests.database.made import again, claimed, enqueued
from tests.peers.pacs import Pacs, objects

KINDS = ("seg", "sr")


def ready(
    spool: Spool,
    database: Database,
    key: str = "ab" * 32,
    *,
    now: float | None = None,
    send_to: tuple[str, ...] = ("pacs",),
) -> Job:
    """A job whose SEG and SR lie in the outbox, for `pacs` alone."""
    now = database.now() if now is None else now
    paths = objects(spool.outbox_path(key), name=key)
    entries = [
        OutboxObject(
            kind=kind,
            sop_instance_uid=derived_uid(key, kind),
            file=path.name,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for kind, path in zip(KINDS, paths, strict=True)
    ]
    with database.write() as connection:
        enqueued(connection, key, now=now, send_to=send_to)
        job = claimed(connection, now=now)
        deliveries.publish(
            connection, job, entries, outcome="findings", reason=None, timings={}, now=now
        )
        return again(connection, job)


def made(spool: Spool, *jobs: Job) -> dict[str, bytes]:
    """What a PACS must have of these jobs in the end: each data set as it was written."""
    return {
        derived_uid(job.key, kind): data_of(path.read_bytes())
        for job in jobs
        for kind, path in zip(KINDS, sorted(spool.outbox_path(job.key).glob("*.dcm")), strict=True)
    }


def rows(database: Database, job: Job) -> list[tuple[str, str, int]]:
    with database.read() as connection:
        found = deliveries.of_job(connection, job.id)
    return [(row["kind"], row["state"], row["tries"]) for row in found]


def statuses(database: Database, job: Job) -> list[str]:
    with database.read() as connection:
        return [row["status"] for row in deliveries.of_job(connection, job.id)]


def state(database: Database, job: Job) -> JobState:
    with database.read() as connection:
        return again(connection, job).state


@contextmanager
def told() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged; also where a test before this one has configured the log for good."""
    for logger in (deliver.log, confirm.log, committed.log):
        vars(logger).pop("bind", None)
    with capture_logs() as logs:
        yield logs


def later(database: Database, seconds: float = 1000) -> float:
    return database.now() + seconds


def queue_of(
    peer: Peer | Pacs, config: Config, spool: Spool, database: Database, name: str = "pacs"
) -> PeerQueue:
    """Its jitter is the same in every run."""
    return PeerQueue(
        name=name,
        peer=open_peer(peer.settings, config.node) if isinstance(peer, Pacs) else peer,
        spool=spool,
        database=database,
        settings=config.delivery,
        jitter=random.Random(1),  # noqa: S311 - jitter
    )


def pass_time(
    queue: PeerQueue, begin: float, end: float, *, step_s: float = 10, until: Callable[[], bool]
) -> float:
    """The clock goes on by steps; when `until` came true, or the end."""
    now = begin
    while now < end and not until():
        queue.deliver_due(now=now)
        now += step_s
    return now


def grow(spool: Spool, database: Database, job: Job, size: int) -> None:
    """The SEG of a job is so many bytes longer, and known to be."""
    path: Path = min(spool.outbox_path(job.key).glob("*.dcm"))
    ds = pydicom.dcmread(path)
    ds.PixelData = bytes(size)
    ds["PixelData"].VR = "OB"
    ds.save_as(path)
    with database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE delivery SET sha256 = ? WHERE kind = 'seg' AND job_id = ?",
            (hashlib.sha256(path.read_bytes()).hexdigest(), job.id),
        )
