"""The worker: claim jobs, have them attempted, publish what came out, each under its lease."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from dicom_ai_node import metrics
from dicom_ai_node.config.disabled import Disabled, read_disabled
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import leases
from dicom_ai_node.database.engine import Database
from dicom_ai_node.draining import is_draining
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.endings import Endings
from dicom_ai_node.engines.engine import (
    MISMATCH,
    Attempt,
    Engine,
    Failure,
    Room,
)
from dicom_ai_node.errors import ConfigError, LeaseLost, ResultMismatch
from dicom_ai_node.failures import LOST_TEXT, Failures, model_of, no_model
from dicom_ai_node.job import LOST, Job
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.prepare import outside_of, request_of
from dicom_ai_node.report import Report, read_report
from dicom_ai_node.request import Request
from dicom_ai_node.spool import Spool, remove_folder

log = get_logger(__name__)

POLL_S = 0.05
LOOK_S = 1.0  # between two looks whether a job is still ours


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """A job under our lease, and its attempt under way."""

    job: Job
    request: Request
    attempt: Attempt
    renewed_at: float
    looked_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """`name` is unique among workers on one database; on one spool the role's lock sees to that."""

    name: str
    config: Config
    models: Mapping[str, InstalledModel]
    spool: Spool
    database: Database
    engine: Engine
    held: list[Held] = field(default_factory=list, init=False)
    puzzled: list[str] = field(default_factory=list, init=False)  # why no job begins: said once

    def run(self, stop: threading.Event, leave: threading.Event | None = None) -> None:
        """Work until told to stop; jobs under way are then given back, not counted as a try. Or
        until told to leave: what is under way is brought to its end, and nothing is begun."""
        self.take_back()
        beat = metrics.beat("work", "jobs")
        try:
            while not stop.is_set():
                beat()
                is_leaving = leave is not None and leave.is_set()
                if is_leaving and not self.held:
                    return
                took = not is_leaving and self._take()
                self._look()
                if self.held:
                    self.engine.wait(POLL_S)
                elif not took:
                    self.engine.wait(0)
                    stop.wait(POLL_S)
        finally:
            self._let_go()

    def take_back(self) -> None:
        """Queue again what a killed worker of this name had: nobody else can still be at it."""
        with self.database.read() as connection:
            left = leases.running_on(connection, self.name)
        for job in left:
            log.warning("job_taken_back", job=job.id)
            with suppress(LeaseLost):  # the reaper was here first
                if self.spool.outbox_path(job.key).exists():  # whole, or it would not be there
                    self._endings.hand_over(job, leases.RESULT_IS_THERE)
                else:
                    lost = Failure(kind=leases.WORKER_LOST, text="the worker ended")
                    self._endings.give_back(job, lost, 0)

    def work_once(self, stop: threading.Event) -> bool:
        """Run one job to its end, if there is one to run."""
        if not self._take():
            return False
        try:
            while self.held and not stop.is_set():
                self._look()
                self.engine.wait(POLL_S if self.held else 0)
        finally:
            self._let_go()
        return True

    def _take(self) -> bool:
        """Begin one more job, if there is one and room for it.

        A job that was tried before has a process of its own: a crash of it is nobody else's.
        """
        room = self.engine.room()
        if room is Room.NONE:
            return False
        job = self._claim(untried_only=room is Room.BESIDE)
        if job is None:
            return False
        logger = log.bind(job=job.id, study=pseudonym(job.study_instance_uid), model=job.model)
        logger.info("job_started", attempt=job.attempts)
        if job.attempts == 1:
            waited_s = self.database.now() - max(job.created_at, job.run_after)
            metrics.observe_stage("queued", job.model, waited_s)
        reached(Step.JOB_CLAIMED)
        self._guarded(job, None)
        return True

    def _look(self) -> None:
        disabled = self._disabled() or {}
        for each in list(self.held):
            marker = disabled.get((each.job.model, each.job.version))
            self._guarded(each.job, each, marker)

    def _guarded(self, job: Job, held: Held | None, marker: Disabled | None = None) -> None:
        """The work boundary: whatever goes wrong with one job, the others go on."""
        try:
            if held is None:
                self._begin(job)
            elif marker is not None:
                self._drop(held)
                self._endings.hand_over(job, marker.sentence)
            else:
                self._follow(held)
        except LeaseLost:
            log.info("lease_lost", job=job.id)
            self._drop(held)
        except ConfigError:  # a required fence that does not hold: no study's fault, and no retry's
            raise
        except Exception as error:
            log.exception("job_failed", job=job.id)
            self._drop(held)
            failure = Failure(kind="error", text=where(error))
            metrics.ATTEMPTS_FAILED.labels("error").inc()
            with suppress(LeaseLost):
                self._endings.give_back(job, failure, self.config.work.retry_after_s)

    def _disabled(self) -> Mapping[tuple[str, str], Disabled] | None:
        """None where nobody can tell: then no job begins."""
        try:
            found = read_disabled(self.config.node.models)
        except ConfigError as error:
            if not self.puzzled:
                self.puzzled.append(str(error))
                log.exception("no_job_begins", text=str(error))
            return None
        self.puzzled.clear()
        return found

    def _claim(self, *, untried_only: bool) -> Job | None:
        now = self.database.now()
        disabled = self._disabled()
        if disabled is None or is_draining(self.spool):
            return None
        with self.database.read() as connection:
            first = leases.next_runnable(connection, now=now, disabled=disabled)
        # an idle worker takes no write lock; and a job that must be alone is not overtaken for ever
        if first is None or (untried_only and first.attempts):
            return None
        with self.database.write() as connection:
            return leases.claim(
                connection,
                worker=self.name,
                lease_s=self.config.work.lease_s,
                now=now,
                disabled=disabled,
                untried_only=untried_only,
            )

    def _begin(self, job: Job) -> None:
        finished = read_report(self.spool.outbox_path(job.key))
        if finished is not None:  # a killed worker had finished it: inference is not repeated
            self._endings.publish(job, finished)
            return
        request = self._request(job)
        if isinstance(request, Failure):
            self._failures.settle(job, request)
            return
        started = self.engine.submit(request, alone=job.attempts > 1)
        now = self.database.now()
        self.held.append(Held(job=job, request=request, attempt=started, renewed_at=now))

    def _request(self, job: Job) -> Request | Failure:
        model = model_of(job, self.models)
        if model is None:
            return no_model(job)
        with self.database.read() as connection:
            request = request_of(
                job,
                model,
                connection,
                self.spool,
                self.config.forms_of(job.send_to, model=job.model),
                self.config.node.font,
                self.config.node.language,
                outside_of(job, model, self.config, self.spool, connection),
            )
        return request or Failure(kind=LOST, text=LOST_TEXT)

    def _follow(self, held: Held) -> None:
        """Ask how it is going. Renews the lease at a third of its period."""
        found = held.attempt.poll(0)
        if found is None:
            lease_s, now = self.config.work.lease_s, self.database.now()
            if not 0 <= now - held.looked_at < LOOK_S:
                self._require_held(held.job)
                held.looked_at = now
            if now - held.renewed_at > lease_s / 3:
                with self.database.write() as connection:
                    leases.renew(connection, held.job, lease_s=lease_s, now=now)
                held.renewed_at = now
            return
        self.held.remove(held)
        if isinstance(found, Report):
            reached(Step.RESULT_TAKEN)
            try:
                self._endings.publish(held.job, found, held.request)
            except ResultMismatch as error:
                found = Failure(kind=MISMATCH, text=str(error))
        if isinstance(found, Failure):
            remove_folder(held.request.folder)
            self._failures.settle(held.job, found)

    def _require_held(self, job: Job) -> None:
        """Who takes a job away does not wait for the next renewal; raises LeaseLost."""
        with self.database.read() as connection:
            if not leases.is_held(connection, job):
                raise LeaseLost(f"job {job.id} was taken from this worker")

    def _drop(self, held: Held | None) -> None:
        """End its attempt, and forget it."""
        if held is None:
            return
        if held in self.held:
            self.held.remove(held)
            held.attempt.kill()
        remove_folder(held.request.folder)

    def _let_go(self) -> None:
        """The worker stops: others begin these jobs anew."""
        for each in list(self.held):
            self._drop(each)
            with suppress(LeaseLost):
                self._endings.hand_over(each.job, "the worker was told to stop")

    @property
    def _failures(self) -> Failures:
        return Failures(
            config=self.config,
            models=self.models,
            spool=self.spool,
            database=self.database,
            endings=self._endings,
        )

    @property
    def _endings(self) -> Endings:
        return Endings(
            settings=self.config.work,
            spool=self.spool,
            database=self.database,
            forms={name: peer.results for name, peer in self.config.peers.items()},
        )
