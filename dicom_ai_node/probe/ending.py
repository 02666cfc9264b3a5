"""How a run ends, and what is left of it is removed: also where no probe is configured any more."""

from sqlalchemy import Connection

from dicom_ai_node.database import jobs, probe_runs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.probe_runs import ProbeRun, Stage
from dicom_ai_node.job import FINAL_STATES, JobState
from dicom_ai_node.log import get_logger
from dicom_ai_node.purge import purge_study
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

EVERY_S = 2.0
_KEEP_PASSED_S, _KEEP_FAILED_S = 3600.0, 86_400.0  # images and results, to be looked at
_ENDED = "the node's trial has ended"
_UNCONFIGURED = "`probe` was taken out of the configuration before the run was over"


def wind_up(spool: Spool, database: Database, *, now: float) -> None:
    """The tick of a node that no longer tries itself: a run that was under way has failed."""
    with database.read() as connection:
        run = probe_runs.under_way(connection)
    if run is not None:
        finish(database, run, run.stage, _UNCONFIGURED, now)
    remove_old(spool, database, now)


def finish(database: Database, run: ProbeRun, stage: Stage, reason: str | None, now: float) -> None:
    """Nothing of a failed run is left to be run or sent; intake refuses what comes of it yet."""
    with database.write() as connection:
        probe_runs.finish(connection, run, stage, reason=reason, now=now)
        if reason is not None:
            _cancel(connection, run, now)
    seconds = round(now - run.started_at, 1)
    if reason is None:
        log.info("probe_passed", peer=run.peer, model=run.model, seconds=seconds)
    else:
        log.error("probe_failed", peer=run.peer, stage=stage, reason=reason, seconds=seconds)


def remove_old(spool: Spool, database: Database, now: float) -> None:
    """One that cannot be purged yet is looked at again."""
    with database.read() as connection:
        old = probe_runs.to_remove(
            connection,
            passed_before=now - _KEEP_PASSED_S,
            failed_before=now - _KEEP_FAILED_S,
        )
    for run_id, study_id in old:
        if study_id is None or purge_study(spool, database, study_id, before=now):
            with database.write() as connection:
                probe_runs.removed(connection, run_id)


def _cancel(connection: Connection, run: ProbeRun, now: float) -> None:
    for job in jobs.listing(connection, study_instance_uid=run.study_instance_uid):
        if job.state not in FINAL_STATES:
            jobs.move(connection, job, JobState.CANCELLED, now=now, why=_ENDED)
