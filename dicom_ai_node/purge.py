"""Retention: what is delivered and old is deleted, never to make room (P29)."""

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import expectations, jobs, retractions, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.spool import Spool, remove_folder

log = get_logger(__name__)

_DAY_S = 86_400


def purge_expired(config: Config, spool: Spool, database: Database, *, now: float) -> int:
    """Delete files of studies older than `retain_days`; rows of studies and jobs stay.

    What was expected goes too, whether its study came or not.
    """
    before = now - config.node.retain_days * _DAY_S
    with database.read() as connection:
        expired = studies.expired(connection, before=before)
    for row in expired:
        with database.read() as connection:
            keys = jobs.keys_of_study(connection, row["id"])
        for key in keys:  # before the commit: afterwards nobody would look for them again
            remove_folder(spool.outbox_path(key))
        with database.write() as connection:
            files = studies.purge(connection, row["id"])
        reached(Step.PURGE_RECORDED)
        for file in files:  # after the commit: a row without a file would be a lost instance
            spool.instance_path(file).unlink(missing_ok=True)
        reached(Step.PURGE_DONE)
        log.info("study_purged", study=pseudonym(row["study_instance_uid"]), instances=len(files))
    with database.read() as connection:
        spent = retractions.spent(connection, before=before)
    for key in spent:
        remove_folder(spool.outbox_path(key))
    with database.write() as connection:
        expectations.forget(connection, before=before)
    return len(expired)
