"""`audit.keep_days`: files of the trail that are old go, and the trail says so."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial

from dicom_ai_node.audit import codes, current, events, message
from dicom_ai_node.audit.cursor import read_position
from dicom_ai_node.audit.expire import expire, expired
from dicom_ai_node.audit.message import Message, Subject
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.config.settings import Config
from dicom_ai_node.log import get_logger
from dicom_ai_node.purge import is_clock_trusted
from dicom_ai_node.spool import Spool

log = get_logger(__name__)


def forget_old_lines(config: Config, spool: Spool, *, now: float) -> int:
    """The number of files that went: none that the repository has not, and none while the clock is
    in doubt."""
    keep_days, folder = config.audit.keep_days, spool.root / "audit"
    if keep_days is None or not is_clock_trusted(spool, now):
        return 0
    before = f"{datetime.fromtimestamp(now, UTC) - timedelta(days=keep_days):%Y-%m-%d}"
    sent = read_position(folder).file if config.audit.syslog is not None else None
    found = expired(folder, before=before, unsent_from=sent)
    if found:
        names = ", ".join(path.name for path in found)
        current.require(partial(_message, names, keep_days))
        expire(folder, found)
        log.info("audit_files_expired", files=len(found))
    return len(found)


def _message(names: str, keep_days: int, trail: Trail) -> Message:
    uri = trail.folder.absolute().as_uri()
    here = trail.here
    log_ = Subject(id=uri, id_type=codes.URI, role=message.SECURITY_RESOURCE)
    return events.security_alert(
        [here],
        kind=codes.USE_OF_RESTRICTED_FUNCTION,
        subjects=[log_],
        description=f"files of the audit trail are deleted after {keep_days} days: {names}",
        at=time.time(),
    )
