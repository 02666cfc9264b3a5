"""The road after reception in this process: intake, worker and attempt, on the test's clock."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dicom_ai_node import attempt
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.engines.engine import Room
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request
from dicom_ai_node.spool import Spool
from dicom_ai_node.work import Worker

FINISHED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@dataclass
class Here:
    """An engine and its attempt: a submitted request has run when it is polled."""

    requests: list[Request] = field(default_factory=list)

    def room(self) -> Room:
        return Room.FREE

    def wait(self, wait_s: float) -> None: ...

    def submit(self, request: Request, *, alone: bool = False) -> "Here":
        self.requests.append(request)
        return self

    def poll(self, wait_s: float) -> Report:
        request = self.requests[-1]
        return attempt.run(request, lambda: open_model(request.model), clock=lambda: FINISHED)

    def kill(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Road:
    """One node without its processes; time is what the test says."""

    config: Config
    spool: Spool
    database: Database
    models: dict[str, InstalledModel]

    def __post_init__(self) -> None:
        self.engine = Here()
        self.intake = Intake(
            config=self.config, models=self.models, spool=self.spool, database=self.database
        )
        self.worker = Worker(
            name="here",
            config=self.config,
            models=self.models,
            spool=self.spool,
            database=self.database,
            engine=self.engine,
        )

    def work(self) -> int:
        """Run every job that may run; the number of attempts."""
        before = len(self.engine.requests)
        while self.worker.work_once(threading.Event()):
            pass
        return len(self.engine.requests) - before

    def jobs(self) -> list[Job]:
        """The oldest first."""
        with self.database.read() as connection:
            return list(jobs.listing(connection))[::-1]

    def results(self) -> list[Job]:
        """Jobs whose result stands: finished, and superseded by none that is."""
        finished = [job for job in self.jobs() if job.state in (JobState.READY, JobState.DONE)]
        superseded = {job.supersedes for job in finished}
        return [job for job in finished if job.id not in superseded]

    def objects(self, job: Job) -> dict[str, Path]:
        """What was made of a job, by kind."""
        with self.database.read() as connection:
            rows = deliveries.of_job(connection, job.id)
        return {row["kind"]: self.spool.outbox_path(job.key) / row["file"] for row in rows}
