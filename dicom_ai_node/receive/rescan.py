"""Disk and table reconciled: files without a row are adopted, rows without a file counted."""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.studies import Arrival, ReceivedInstance
from dicom_ai_node.header import data_of
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.elements import Malformed
from dicom_ai_node.receive.identity import identify
from dicom_ai_node.spool import Spool

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rescan did. What is unreadable or lost, only a person can mend."""

    adopted: int = 0
    removed: int = 0  # second copies of known instances
    unreadable: int = 0  # files without a row, left where they are
    lost: int = 0  # rows whose file is gone


def rescan(spool: Spool, database: Database) -> Found:
    """Run while nothing is received: by the role that receives, before it listens."""
    with database.read() as connection:
        known = studies.files(connection)
    on_disk = {path.name: path for path in spool.instance_files()}
    fates = Counter(_adopt(path, database) for name, path in on_disk.items() if name not in known)
    found = Found(
        adopted=fates[Arrival.NEW],
        removed=fates[Arrival.DUPLICATE] + fates[Arrival.CONFLICT],
        unreadable=fates[None],
        lost=len(known - on_disk.keys()),
    )
    level = log.error if found.lost or found.unreadable else log.info
    level("spool_rescanned", files=len(on_disk), **asdict(found))
    return found


def _adopt(path: Path, database: Database) -> Arrival | None:
    """The row that the receiver was about to commit; None for a file that cannot be read."""
    try:
        received = describe(path)
    except (InvalidDicomError, Malformed, OSError):
        log.exception("orphan_unreadable", file=path.name)
        return None
    with database.write() as connection:
        found = studies.add(connection, received, path.name, now=path.stat().st_mtime)
    if found is not Arrival.NEW:
        path.unlink()
    return found


def describe(path: Path) -> ReceivedInstance:
    """What reception knew of a file that it wrote, read back from the file."""
    meta = read_file_meta_info(path)
    if "TransferSyntaxUID" not in meta:
        raise Malformed("the file meta information is cut off")
    data = bytes(data_of(path.read_bytes()))
    identity = identify(data, meta.TransferSyntaxUID)
    return ReceivedInstance(
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=meta.TransferSyntaxUID,
        patient_digest=identity.patient_digest,
        calling_ae_title=str(meta.get("SourceApplicationEntityTitle", "")),
        called_ae_title=str(meta.get("ReceivingApplicationEntityTitle", "")),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )
