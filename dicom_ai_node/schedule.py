"""APScheduler wakes things up; it stores nothing, and every tick may be repeated or missed."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

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
REAP_EVERY_S = 5
PURGE_EVERY_S = 3600
REMIND_EVERY_S = 86_400
SOUNDNESS_EVERY_S = 3600


def start(config: Config, spool: Spool, database: Database, intake: Intake) -> BackgroundScheduler:
    """The ticks, running in threads of this process until `shutdown()`."""
    scheduler = BackgroundScheduler(
        timezone="UTC",
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    ticks: tuple[tuple[str, float, Callable[[], object]], ...] = (
        ("settle", SETTLE_EVERY_S, lambda: intake.settle_quiet(now=database.now())),
        ("reap", REAP_EVERY_S, lambda: reap_leases(config, spool, database, now=database.now())),
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
        ("dead_letters", REMIND_EVERY_S, lambda: remind(database)),
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
