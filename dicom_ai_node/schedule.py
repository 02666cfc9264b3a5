"""Ticks wake things up; nothing about them is stored, and each may be repeated or missed.

What must not wait has threads of its own, which know no clock that somebody may set. The rest is
left to APScheduler, whose jobs are due by the machine's clock: one that is set back is noticed.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.schedulers.background import BackgroundScheduler

from dicom_ai_node import metrics, taken_out
from dicom_ai_node.audit_expiry import forget_old_lines
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs, leases, soundness
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.job import JobState
from dicom_ai_node.log import get_logger
from dicom_ai_node.purge import purge_unless_clock_jumped
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

SETTLE_EVERY_S = 0.1
REAP_EVERY_S = 5.0
_CLOCK_EVERY_S = 1.0
_SET_BACK_S = 5.0  # less is the work of a time service, which moves a clock gently
PURGE_EVERY_S = 3600
REMIND_EVERY_S = 86_400
SOUNDNESS_EVERY_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """In threads of this process."""

    scheduler: BackgroundScheduler
    slow: "_Threads"
    stop: threading.Event
    threads: list[threading.Thread]

    def shutdown(self, wait_s: float) -> None:
        """Returns when those that are under way have ended, or after so long: a check of a large
        database, or a large purge, begins anew some other time."""
        self.stop.set()
        self.scheduler.shutdown(wait=False)
        deadline = time.monotonic() + wait_s
        for thread in (*self.threads, *self.slow.threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        late = [each.name for each in (*self.threads, *self.slow.threads) if each.is_alive()]
        if late:
            log.warning("ticks_not_waited_for", ticks=late)


class _Threads(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """A thread for each slow tick; the end of the process waits for none, unlike for a pool's."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []

    def _do_submit_job(self, job: Any, run_times: Any) -> None:
        thread = threading.Thread(target=self._run, args=(job, run_times), name=job.id, daemon=True)
        self.threads = [*(each for each in self.threads if each.is_alive()), thread]
        thread.start()

    def _run(self, job: Any, run_times: Any) -> None:
        events = run_job(job, job._jobstore_alias, run_times, self._logger.name)
        self._run_job_success(job.id, events)


def start(
    config: Config,
    spool: Spool,
    database: Database,
    intake: Intake,
    others: Sequence[tuple[str, float, Callable[[], object]]] = (),
) -> Ticks:
    """All of them, until `shutdown()`; `others` have a name and seconds too."""
    slow = _Threads()
    scheduler = _start_slow(config, spool, database, others, slow)
    clock = Clock(scheduler, now=database.now())
    stop = threading.Event()
    fast: tuple[tuple[str, float, Callable[[], object]], ...] = (
        ("settle", SETTLE_EVERY_S, lambda: intake.settle_quiet(now=database.now())),
        ("reap", REAP_EVERY_S, lambda: reap_leases(config, spool, database, now=database.now())),
        ("clock", _CLOCK_EVERY_S, lambda: clock.look(now=database.now())),
    )
    threads = []
    for name, seconds, tick in fast:
        run = _guarded(name, tick)
        thread = threading.Thread(
            target=_beat, args=(name, seconds, run, stop), name=name, daemon=True
        )
        thread.start()
        threads.append(thread)
    return Ticks(scheduler=scheduler, slow=slow, stop=stop, threads=threads)


def _beat(name: str, seconds: float, run: Callable[[], None], stop: threading.Event) -> None:
    beat = metrics.beat("deliver", name)
    beat()
    while not stop.wait(seconds):
        run()
        beat()


class Clock:
    """Has every slow tick run, and the next counted from then, when the clock was set back."""

    def __init__(self, scheduler: BackgroundScheduler, *, now: float) -> None:
        self._scheduler = scheduler
        self._before = now

    def look(self, *, now: float) -> None:
        back_s, self._before = self._before - now, now
        if back_s > _SET_BACK_S:
            log.warning("clock_set_back", seconds=round(back_s))
            for each in self._scheduler.get_jobs():
                each.modify(next_run_time=datetime.fromtimestamp(now, UTC))


def _start_slow(
    config: Config,
    spool: Spool,
    database: Database,
    others: Sequence[tuple[str, float, Callable[[], object]]],
    threads: _Threads,
) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(
        timezone="UTC",
        executors={"default": threads},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    ticks: tuple[tuple[str, float, Callable[[], object]], ...] = (
        (
            "purge",
            PURGE_EVERY_S,
            lambda: purge_unless_clock_jumped(config, spool, database, now=database.now()),
        ),
        (
            "soundness",
            SOUNDNESS_EVERY_S,  # due once a week
            lambda: soundness.check_weekly(
                database.path, spool.incoming, spool.root / "database-checked", now=database.now()
            ),
        ),
        ("taken_out", PURGE_EVERY_S, lambda: taken_out.finish(spool, database)),
        ("audit", PURGE_EVERY_S, lambda: forget_old_lines(config, spool, now=database.now())),
        ("dead_letters", REMIND_EVERY_S, lambda: remind(database)),
        *others,
    )
    for name, seconds, tick in ticks:
        scheduler.add_job(_guarded(name, tick), "interval", seconds=seconds, id=name)
    scheduler.modify_job("dead_letters", next_run_time=datetime.now(UTC))  # and at every start
    scheduler.start()
    return scheduler


def remind(database: Database) -> Mapping[str, int]:
    """What waits for a person is alarmed when it comes about, and every day until it is gone."""
    with database.read() as connection:
        waiting = books(connection).dead_letters
    if any(waiting.values()):
        log.error("dead_letters", **waiting)
    return waiting


def reap_leases(config: Config, spool: Spool, database: Database, *, now: float) -> int:
    """Jobs whose worker went silent run again elsewhere, or are quarantined (P10, P12)."""
    with database.write() as connection:
        expired = leases.expired_leases(connection, now=now)
        for job in expired:
            if spool.outbox_path(job.key).exists():  # to be published; that is no attempt
                why, attempts = leases.RESULT_IS_THERE, job.attempts - 1
                jobs.move(connection, job, JobState.QUEUED, now=now, why=why, attempts=attempts)
                continue
            state = leases.give_back(
                connection,
                job,
                error_kind=leases.WORKER_LOST,
                error_text="the worker went silent",
                max_attempts=config.work.max_attempts,
                now=now,
            )
            level = log.error if state is JobState.QUARANTINED else log.warning
            level("lease_expired", job=job.id, state=state)
    return len(expired)


def _guarded(name: str, tick: Callable[[], object]) -> Callable[[], None]:
    """The tick boundary: one failed tick is logged, and the next one comes."""

    def run() -> None:
        try:
            tick()
        except Exception:
            log.exception("tick_failed", tick=name)

    return run
