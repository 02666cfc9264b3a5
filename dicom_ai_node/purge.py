"""Retention: what is delivered and old is deleted, never to make room (P29).

A clock that is wrong must not delete everything at once: see `purge_unless_clock_jumped`.
"""

import json
import time

from dicom_ai_node import taken_out
from dicom_ai_node.audit import current, events
from dicom_ai_node.audit.study import StudyInstances
from dicom_ai_node.audited import in_file
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import expectations, jobs_of_study, retractions, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.spool import Spool, durable_write, remove_folder

log = get_logger(__name__)

_DAY_S = 86_400
# between two looks at the clock, which are an hour apart while the node runs
LONGEST_GAP_S = 2 * _DAY_S
WAIT_S = _DAY_S
_CLOCK = "purge-clock"  # in the spool: when it was last looked at, and until when nothing goes


def purge_expired(config: Config, spool: Spool, database: Database, *, now: float) -> int:
    """Delete files of studies older than `retain_days`; rows of studies and jobs stay.

    What was expected goes too, whether its study came or not.
    """
    before = now - config.node.retain_days * _DAY_S
    with database.read() as connection:
        expired = studies.expired(connection, before=before)
    purged = sum(purge_study(spool, database, row["id"], before=before) for row in expired)
    with database.read() as connection:
        spent = retractions.spent(connection, before=before)
    for key in spent:
        remove_folder(spool.outbox_path(key))
    with database.write() as connection:
        expectations.forget(connection, before=before)
    return purged


def purge_study(spool: Spool, database: Database, study_id: int, *, before: float) -> bool:
    """False where something has come, or is to be done, since somebody looked."""
    with database.write() as connection:
        expired = studies.expired(connection, before=before, study_id=study_id)
        if not expired:
            return False
        uid = expired[0]["study_instance_uid"]
        _record(spool, uid, studies.a_file(connection, uid))
        # before the commit: afterwards nobody would look for them again
        for key in jobs_of_study.keys_of_study(connection, study_id):
            remove_folder(spool.outbox_path(key))
        files = studies.purge(connection, study_id)
        noted = taken_out.note(spool, files)
    reached(Step.PURGE_RECORDED)
    # after the commit: a row without a file would be a lost instance
    taken_out.remove(spool, files, noted)
    reached(Step.PURGE_DONE)
    (row,) = expired
    log.info("study_purged", study=pseudonym(row["study_instance_uid"]), instances=len(files))
    return True


def _record(spool: Spool, study_instance_uid: str, file: str | None) -> None:
    """In the audit trail, before anything of it is gone; raises NotRecorded."""
    what = StudyInstances(study_instance_uid=study_instance_uid)
    if file is not None:
        what = in_file(spool.instance_path(file), study_instance_uid)
    current.require(lambda trail: events.study_deleted(trail.here, what, at=time.time()))


def purge_unless_clock_jumped(
    config: Config, spool: Spool, database: Database, *, now: float
) -> int:
    """What the timed purge does. Where the clock went on by more than the node can account for, it
    stood still for days, or the clock is wrong, and by that every study would be old: nothing goes
    for a day, in which somebody may put the clock right."""
    if not _is_trusted(spool, now):
        return 0
    return purge_expired(config, spool, database, now=now)


def is_clock_trusted(spool: Spool, now: float) -> bool:
    """As the timed purge last found it."""
    found = _clock(spool)
    return found is not None and now >= found[1]


def doubted_until(spool: Spool, *, now: float) -> float | None:
    """Since the clock jumped, nothing is purged before then; None while it is believed."""
    found = _clock(spool)
    return found[1] if found is not None and now < found[1] <= now + WAIT_S else None


def _clock(spool: Spool) -> tuple[float, float] | None:
    """When it was last looked at, and until when nothing goes; None before the first look."""
    try:
        before, wait_until = map(float, json.loads((spool.root / _CLOCK).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return before, wait_until


def _is_trusted(spool: Spool, now: float) -> bool:
    path = spool.root / _CLOCK
    before, wait_until = _clock(spool) or (now, now)
    if now - before > LONGEST_GAP_S:
        wait_until = now + WAIT_S
        log.error("clock_jumped", seconds=round(now - before), nothing_is_purged_for_s=WAIT_S)
    wait_until = min(wait_until, now + WAIT_S)  # the clock was put back
    part = spool.incoming / _CLOCK
    part.unlink(missing_ok=True)  # of a process that was killed
    durable_write(path, [json.dumps([now, wait_until]).encode()], part)
    return now >= wait_until
