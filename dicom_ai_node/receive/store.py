"""One C-STORE: check, keep, commit, answer (PS3.4 B.2.3 for the statuses)."""

import enum
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from sqlalchemy.exc import OperationalError

from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.studies import Arrival, ReceivedInstance
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.elements import Malformed
from dicom_ai_node.receive.identity import Identity, identify
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID

log = get_logger(__name__)

PREAMBLE = bytes(128) + b"DICM"


class Status(enum.IntEnum):
    SUCCESS = 0x0000
    DUPLICATE_SOP_INSTANCE = 0x0111
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a C-STORE request said besides its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    context_sop_class_uid: str
    transfer_syntax_uid: UID
    calling_ae_title: str
    called_ae_title: str


def store(spool: Spool, database: Database, message: Message, data: bytes) -> tuple[Status, str]:
    """The status and a comment for the peer; Success means durable, with its row (P1)."""
    try:
        identity = identify(data, message.transfer_syntax_uid)
    except Malformed as error:
        return Status.CANNOT_UNDERSTAND, str(error)
    if not _agree(message, identity):
        return (
            Status.DOES_NOT_MATCH_SOP_CLASS,
            "SOP class or instance of message and data set differ",
        )
    received = ReceivedInstance(
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=message.transfer_syntax_uid,
        patient_digest=identity.patient_digest,
        calling_ae_title=message.calling_ae_title,
        called_ae_title=message.called_ae_title,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )
    try:
        return _keep(spool, database, received, data)
    except OSError as error:
        log.exception("instance_not_stored", cause="disk", errno=error.errno)
        return Status.OUT_OF_RESOURCES, "the disk cannot take it now"
    except OperationalError:
        log.exception("instance_not_stored", cause="database")
        return Status.OUT_OF_RESOURCES, "the database cannot take it now"


def _agree(message: Message, identity: Identity) -> bool:
    classes = {message.sop_class_uid, message.context_sop_class_uid, identity.sop_class_uid}
    return len(classes) == 1 and message.sop_instance_uid == identity.sop_instance_uid


def _keep(
    spool: Spool, database: Database, received: ReceivedInstance, data: bytes
) -> tuple[Status, str]:
    with database.read() as connection:
        found = studies.arrival(connection, received)
    if found is Arrival.NEW:
        file = spool.keep_instance(_part10(received, data))
        with database.write() as connection:
            found = studies.add(connection, received, file, now=database.now())
        if found is not Arrival.NEW:  # the same instance came on another association meanwhile
            spool.instance_path(file).unlink()
    elif found is Arrival.CONFLICT:
        with database.write() as connection:
            studies.conflict(connection, received.sop_instance_uid, now=database.now())
    else:
        _restore(spool, database, received, data)
    if found is Arrival.CONFLICT:
        log.warning("instance_conflict", calling_ae=received.calling_ae_title)
        return Status.DUPLICATE_SOP_INSTANCE, "this UID was stored with other contents"
    return Status.SUCCESS, ""


def _restore(spool: Spool, database: Database, received: ReceivedInstance, data: bytes) -> None:
    """What was stored before is only acknowledged again if its file is still there (P1)."""
    with database.read() as connection:
        file = studies.file_of(connection, received.sop_instance_uid)
    if spool.instance_path(file).is_file():
        return
    file = spool.keep_instance(_part10(received, data))
    with database.write() as connection:
        studies.replace_file(connection, received.sop_instance_uid, file)
    log.warning("lost_instance_restored", calling_ae=received.calling_ae_title)


def _part10(received: ReceivedInstance, data: bytes) -> Iterator[bytes]:
    """The bytes as they came, behind a file meta group of our own (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(received.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(received.sop_instance_uid)
    meta.TransferSyntaxUID = UID(received.transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.SourceApplicationEntityTitle = received.calling_ae_title
    meta.ReceivingApplicationEntityTitle = received.called_ae_title
    head = BytesIO()
    write_file_meta_info(DicomIO(head), meta)
    yield PREAMBLE + head.getvalue()
    yield data
