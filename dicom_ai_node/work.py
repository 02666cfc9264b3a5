"""The worker: claim a job, have it attempted, publish what came out, all under a lease."""

import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from dicom_ai_node import attempt
from dicom_ai_node.attempt import Report, Request
from dicom_ai_node.config.installed import InstalledModel, model_label
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs, leases
from dicom_ai_node.database.deliveries import OutboxObject
from dicom_ai_node.database.engine import Database
from dicom_ai_node.engines.engine import Engine, Failure
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.request import request_of
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

POLL_S = 0.05
RETRY_AFTER_S = 5.0  # grows with each attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """`name` is unique among workers on one database; on one spool the role's lock sees to that."""

    name: str
    config: Config
    models: Mapping[str, InstalledModel]
    spool: Spool
    database: Database
    engine: Engine

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; a job under way is then given back, not counted as a try."""
        self.take_back()
        while not stop.is_set():
            if not self.work_once(stop):
                stop.wait(POLL_S)

    def take_back(self) -> None:
        """Queue again what a killed worker of this name had: nobody else can still be at it."""
        with self.database.read() as connection:
            left = leases.running_on(connection, self.name)
        for job in left:
            log.warning("job_taken_back", job=job.id)
            with suppress(LeaseLost):  # the reaper was here first
                self._give_back(job, Failure(kind=leases.WORKER_LOST, text="the worker ended"), 0)

    def work_once(self, stop: threading.Event) -> bool:
        """Run one job to its end, if there is one to run."""
        job = self._claim()
        if job is None:
            return False
        logger = log.bind(job=job.id, study=pseudonym(job.study_instance_uid), model=job.model)
        logger.info("job_started", attempt=job.attempts)
        try:
            self._guarded(job, stop)
        except LeaseLost:
            logger.info("lease_lost")
        return True

    def _guarded(self, job: Job, stop: threading.Event) -> None:
        """The work boundary: whatever goes wrong with one job, the next one comes."""
        try:
            self._attempt(job, stop)
        except LeaseLost:
            raise
        except Exception as error:
            log.exception("job_failed", job=job.id)
            self._give_back(job, Failure(kind="error", text=where(error)), RETRY_AFTER_S)

    def _claim(self) -> Job | None:
        now = self.database.now()
        with self.database.read() as connection:
            if not leases.any_runnable(connection, now=now):
                return None  # an idle worker takes no write lock
        with self.database.write() as connection:
            return leases.claim(
                connection, worker=self.name, lease_s=self.config.work.lease_s, now=now
            )

    def _attempt(self, job: Job, stop: threading.Event) -> None:
        folder = self.spool.outbox_path(job.key)
        found: Report | Failure | None = attempt.read_report(folder)
        if found is None:  # else a killed worker had finished it: inference is not repeated
            request = self._request(job)
            found = request if isinstance(request, Failure) else self._wait(job, request, stop)
        if found is None:
            self._hand_over(job)
        elif isinstance(found, Failure):
            log.warning("attempt_without_result", job=job.id, kind=found.kind, text=found.text)
            self._give_back(job, found, RETRY_AFTER_S * job.attempts)
        else:
            self._publish(job, found)

    def _request(self, job: Job) -> Request | Failure:
        label = model_label(job.model, job.version)
        model = next((each for each in self.models.values() if each.label == label), None)
        if model is None:
            return Failure(kind="no_model", text=f"the model {label} is not installed")
        with self.database.read() as connection:
            request = request_of(job, model, connection, self.spool)
        return request or Failure(
            kind="lost", text="stored instances of this job are no longer there"
        )

    def _wait(self, job: Job, request: Request, stop: threading.Event) -> Report | Failure | None:
        """None when the worker is told to stop first. Renews the lease at a third of its period."""
        lease_s = self.config.work.lease_s
        running = self.engine.submit(request)
        try:
            found = None
            renewed_at = self.database.now()
            while found is None and not stop.is_set():
                found = running.poll(POLL_S)
                now = self.database.now()
                if found is None and now - renewed_at > lease_s / 3:
                    with self.database.write() as connection:
                        leases.renew(connection, job, lease_s=lease_s, now=now)
                    renewed_at = now
            return found
        finally:
            if found is None:
                running.kill()
            if not isinstance(found, Report):
                shutil.rmtree(request.folder, ignore_errors=True)

    def _publish(self, job: Job, report: Report) -> None:
        """Folder first, row second: a crash between them finds the folder and publishes that."""
        attempted = self.spool.attempt_path(str(job.lease_id))
        folder = self.spool.publish(attempted, job.key)
        report = attempt.read_report(folder) or report  # the first result stored wins
        objects = [
            OutboxObject(kind=each.kind, sop_instance_uid=each.sop_instance_uid, file=each.file)
            for each in report.objects
        ]
        with self.database.write() as connection:
            deliveries.publish(
                connection,
                job,
                objects,
                outcome=report.outcome,
                reason=report.reason,
                timings=report.timings,
                now=self.database.now(),
            )
        log.info("job_ready", job=job.id, outcome=report.outcome, seconds=report.timings)

    def _give_back(self, job: Job, failure: Failure, backoff_s: float) -> None:
        with self.database.write() as connection:
            state = leases.give_back(
                connection,
                job,
                error_kind=failure.kind,
                error_text=failure.text,
                max_attempts=self.config.work.max_attempts,
                backoff_s=backoff_s,
                now=self.database.now(),
            )
        if state is JobState.QUARANTINED:
            log.error("job_quarantined", job=job.id, kind=failure.kind, text=failure.text)

    def _hand_over(self, job: Job) -> None:
        with self.database.write() as connection:
            jobs.move(
                connection,
                job,
                JobState.QUEUED,
                now=self.database.now(),
                why="the worker was told to stop",
                attempts=job.attempts - 1,
            )
