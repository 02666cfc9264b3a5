"""Whether what waits in the outbox is to be sent: asked of a job just before it is."""

from collections.abc import Sequence
from pathlib import Path

from dicom_ai_node.database import deliveries
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Delivery
from dicom_ai_node.log import get_logger
from dicom_ai_node.outbox import verified

log = get_logger(__name__)


def is_wanted(database: Database, rows: Sequence[Delivery]) -> bool:
    """They were when all that is due was read; an operator, or a note, may have stopped them."""
    with database.read() as connection:
        return deliveries.are_wanted(connection, [row.id for row in rows])


def is_sound(every: Sequence[tuple[Delivery, Path]]) -> bool:
    """Whether all of a job that is to be sent is what was made; what is gone is no danger."""
    for row, path in every:
        if path.exists() and not verified(path, row.sha256):
            log.error("object_altered", peer=row.peer, job=row.job_id, kind=row.kind)
            return False
    return True
