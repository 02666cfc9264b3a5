"""A job for a PACS that is asked to commit, and the two that serve its queue, without threads."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from dicom_ai_node.config.settings import Config
from dicom_ai_node.confirm import Confirmation
from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import DeliveryState, Job, JobState, OutboxObject
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid
from tests.database.made import claimed, enqueued
from tests.peers.committing import CommittingPacs
from tests.peers.pacs import objects

_CLASSES = {"seg": SegmentationStorage, "sr": ComprehensiveSRStorage}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The peer `pacs` of a node."""

    config: Config
    spool: Spool
    database: Database
    pacs: CommittingPacs
    queue: PeerQueue
    confirmation: Confirmation

    def ready(self, name: str = "one", *, with_classes: bool = True) -> Job:
        """A SEG and an SR in the outbox; without classes as an early version wrote rows."""
        key = hashlib.sha256(name.encode()).hexdigest()
        paths = objects(self.spool.outbox_path(key), name=key)
        entries = [
            OutboxObject(
                kind=kind,
                sop_class_uid=_CLASSES[kind] if with_classes else "",
                sop_instance_uid=derived_uid(key, kind),
                file=path.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for kind, path in zip(("seg", "sr"), paths, strict=True)
        ]
        now = self.database.now()
        with self.database.write() as connection:
            enqueued(connection, key, now=now, send_to=("pacs",))
            job = claimed(connection, now=now)
            deliveries.publish(
                connection, job, entries, outcome="findings", reason=None, timings={}, now=now
            )
        return job

    def send(self, *, after: float = 0) -> int:
        return self.queue.deliver_due(now=self.database.now() + after)

    def ask(self, *, after: float = 0) -> int:
        return self.confirmation.ask_due(now=self.database.now() + after)

    def rows(self, job: Job) -> dict[str, tuple[str, str]]:
        """State and last answer of each kind."""
        with self.database.read() as connection:
            found = deliveries.of_job(connection, job.id)
        return {row["kind"]: (row["state"], row["status"]) for row in found}

    def states(self, job: Job) -> set[str]:
        return {state for state, _ in self.rows(job).values()}

    def state(self, job: Job) -> JobState:
        with self.database.read() as connection:
            found = jobs.find(connection, job.id)
        assert found is not None
        return found.state


def site(
    config: Config,
    spool: Spool,
    database: Database,
    pacs: CommittingPacs,
    *,
    answer_s: float = 3600,
    stay_s: float = 20,
) -> Site:
    settings = pacs.settings(answer_s=answer_s)
    return Site(
        config=config,
        spool=spool,
        database=database,
        pacs=pacs,
        queue=PeerQueue(
            name="pacs",
            peer=DimseStore(settings, calling_ae_title="AI_NODE"),
            spool=spool,
            database=database,
            settings=config.delivery,
            wants_commitment=True,
        ),
        confirmation=Confirmation(
            name="pacs",
            peer=settings,
            calling_ae_title="AI_NODE",
            spool=spool,
            database=database,
            settings=config.delivery,
            stay_s=stay_s,
        ),
    )


SiteOf = Callable[..., Site]
COMMITTED, STORED, PENDING, REFUSED = (
    DeliveryState.COMMITTED,
    DeliveryState.STORED,
    DeliveryState.PENDING,
    DeliveryState.REFUSED,
)
