"""What was set aside, for a database that does not know of it: its studies wait for a person."""

from pydicom.errors import InvalidDicomError

from dicom_ai_node.database import arrivals, stopped
from dicom_ai_node.database.arrivals import Arrival
from dicom_ai_node.database.engine import Database
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.elements import Malformed
from dicom_ai_node.receive.rescan import describe
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

_MARGIN_S = 60.0  # between the moment of a backup and the copy of its database


def stop_again(spool: Spool, database: Database, *, since: float = 0) -> int:
    """The studies of instances that contradict stored ones and came after `since`, a POSIX time;
    how many such instances there are. What a person has decided about them since is not known."""
    found = 0
    for path in sorted(spool.conflict.glob("??/*.dcm")):
        came_at = path.stat().st_mtime
        if path.name.startswith("damaged-") or came_at < since - _MARGIN_S:
            continue
        try:
            received = describe(path)
        except (InvalidDicomError, Malformed, OSError):
            continue  # doctor names it
        with database.write() as connection:
            if arrivals.arrival(connection, received) is Arrival.CONFLICT:
                uid = received.sop_instance_uid
                stopped.conflict(connection, uid, now=database.now(), came=received)
                found += 1
    if found:
        log.error("conflicts_known_again", instances=found)
    return found
