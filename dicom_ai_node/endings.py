"""How an attempt ends in the job table: published, given back, or handed over; each under its
lease."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dicom_ai_node import metrics
from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.config.settings import WorkSettings
from dicom_ai_node.database import deliveries, jobs, leases, retractions
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.engines.engine import Failure
from dicom_ai_node.gate.told import check_told
from dicom_ai_node.job import Job, JobState, OutboxObject, Outcome
from dicom_ai_node.log import get_logger
from dicom_ai_node.report import RETRACTED, Report, read_report
from dicom_ai_node.request import Request, known_to
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

# of the metrics, and the timings that they are made of
_STAGES: Mapping[str, tuple[str, ...]] = {
    "load": ("load",),
    "predict": ("open", "predict"),
    "encode": ("encode", "check"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """Each raises LeaseLost where the job is no longer this worker's."""

    settings: WorkSettings
    spool: Spool
    database: Database
    forms: Mapping[str, ResultForms]  # by the peer's name

    def publish(self, job: Job, report: Report, request: Request | None = None) -> None:
        """Folder first, row second: a crash between them finds the folder and publishes that.

        `request` is that of an attempt which has just ended: ResultMismatch where its objects are
        not what that was about. What is found was compared before it came there.
        """
        began = time.monotonic()
        attempted = self.spool.attempt_path(str(job.lease_id))
        if request is not None:
            check_told(attempted, report.objects, request.source.path, known_to(request))
        folder = self.spool.publish(attempted, job.key)
        reached(Step.OUTBOX_RENAMED)
        report = read_report(folder) or report  # the first result stored wins
        objects = [OutboxObject(**asdict(each)) for each in report.objects]
        with self.database.write() as connection:
            deliveries.publish(
                connection,
                job,
                objects,
                outcome=report.outcome,
                reason=report.reason,
                timings=report.timings,
                now=self.database.now(),
                forms=self.forms,
            )
            if (folder / RETRACTED).exists():
                why = "they had been retracted before the database was lost"
                now = self.database.now()
                retractions.mark(connection, [job], why=why, is_delivering=False, now=now)
            reached(Step.READY_WRITTEN)
        reached(Step.READY_PUBLISHED)
        log.info("job_ready", job=job.id, outcome=report.outcome, seconds=report.timings)
        _count(job, report, publish_s=time.monotonic() - began)

    def give_back(self, job: Job, failure: Failure, backoff_s: float) -> None:
        with self.database.write() as connection:
            state = leases.give_back(
                connection,
                job,
                error_kind=failure.kind,
                error_text=failure.text,
                max_attempts=self.settings.max_attempts,
                backoff_s=backoff_s,
                now=self.database.now(),
            )
        if state is JobState.QUARANTINED:
            log.error("job_quarantined", job=job.id, kind=failure.kind, text=failure.text)

    def quarantine(self, job: Job, failure: Failure, *, event: str = "result_destroyed") -> None:
        """At once: another attempt would end in the same way, or be no better to be trusted."""
        with self.database.write() as connection:
            leases.give_back(
                connection,
                job,
                error_kind=failure.kind,
                error_text=failure.text,
                max_attempts=0,
                now=self.database.now(),
            )
        log.error(event, job=job.id, why=failure.text)
        log.error("job_quarantined", job=job.id, kind=failure.kind, text=failure.text)

    def hand_over(self, job: Job, why: str, backoff_s: float = 0) -> None:
        """Queued again, as though this attempt had not been."""
        now = self.database.now()
        with self.database.write() as connection:
            jobs.move(
                connection,
                job,
                JobState.QUEUED,
                now=now,
                why=why,
                attempts=job.attempts - 1,
                run_after=now + backoff_s,
            )


def _count(job: Job, report: Report, *, publish_s: float) -> None:
    """A rejection note is no result."""
    if job.is_note:
        return
    metrics.JOBS_FINISHED.labels(job.model, job.version, report.outcome.value).inc()
    if report.outcome is Outcome.NOT_SUITABLE:
        metrics.REFUSALS.labels(job.model, job.version, _refused_by(report)).inc()
    seconds = report.timings
    for stage, parts in _STAGES.items():
        if any(part in seconds for part in parts):
            took_s = sum(seconds.get(part, 0.0) for part in parts)
            metrics.observe_stage(stage, job.model, took_s)
    metrics.observe_stage("publish", job.model, publish_s)


def _refused_by(report: Report) -> str:
    """The last that had it: a study that a rule refuses is not even loaded."""
    if "predict" in report.timings:
        return "model"
    return "load" if "load" in report.timings else "route"
