"""Duplicates change nothing (P3), but for a study that was only fetched for comparison."""

from collections.abc import Iterable

from dicom_ai_node.database import fetched, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.log import get_logger, pseudonym

log = get_logger(__name__)


def sent_again(
    database: Database,
    study_instance_uids: Iterable[str],
    *,
    calling_ae_title: str,
    called_ae_title: str,
) -> None:
    """Judge such a study after all: who sends it now wants what its routes give."""
    now = database.now()
    for uid in study_instance_uids:
        with database.read() as connection:
            only_fetched = fetched.is_idle_prior(connection, uid, now=now)
        if only_fetched:
            with database.write() as connection:
                studies.reopen_prior(
                    connection,
                    uid,
                    calling_ae_title=calling_ae_title,
                    called_ae_title=called_ae_title,
                    now=now,
                )
            log.info("prior_sent_again", study=pseudonym(uid), calling_ae=calling_ae_title)
