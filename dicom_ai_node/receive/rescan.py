"""Disk and table reconciled: files without a row are adopted, rows without a file counted."""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_ai_node import decisions, taken_out
from dicom_ai_node.database import arrivals, erased, lost, studies, tallies
from dicom_ai_node.database.arrivals import Arrival, Kept, ReceivedInstance
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.header import DAMAGED, data_of
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive import part10
from dicom_ai_node.receive.elements import Malformed
from dicom_ai_node.receive.identity import identify, walk_for
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState

log = get_logger(__name__)

# held by whoever imports while it has places, or files whose rows are not committed
IMPORT_LOCK = "import"
_IMPORT_S = 600.0  # for a few files, of which one may be huge and on a slow disk

_UNFINISHED = "unfinished"
_UNREADABLE = "unreadable"
_RESTORED = "restored"
_PURGED = "purged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rescan did. What is unreadable or lost, only a person can mend."""

    adopted: int = 0  # those included whose row had lost its file
    # second copies of known instances, what had not come to its end, what a purge left over
    removed: int = 0
    conflicts: int = 0  # set aside
    unreadable: int = 0  # files without a row, left where they are
    lost: int = 0  # rows whose file is gone


def rescan(spool: Spool, database: Database, *, wait_s: float = _IMPORT_S) -> Found:
    """Run while nothing is received: by the role that receives, before it listens.

    An import, in another process, is waited for between its files; raises AlreadyRunning.
    """
    with spool.lock(IMPORT_LOCK, wait_s=wait_s):
        return _rescan(spool, database)


def _rescan(spool: Spool, database: Database) -> Found:
    spool.sweep_places()
    decisions.bring_back_deletions(spool, database)
    fates: Counter[Arrival | str] = Counter({_PURGED: taken_out.finish(spool, database)})
    with database.read() as connection:
        known, lost_before = arrivals.files(connection), lost.files(connection)
    on_disk = {path.name: path for path in spool.instance_files()}
    of_study: dict[str, list[Kept]] = {}
    for name, path in on_disk.items():
        if name not in known:
            found = _look_at(path)
            if isinstance(found, Kept) and _is_purged(found, database):
                path.unlink()
                fates[_PURGED] += 1
            elif isinstance(found, Kept):
                of_study.setdefault(found.received.study_instance_uid, []).append(found)
            else:
                fates[found] += 1
    for group in of_study.values():
        fates.update(_adopt(group, spool, database))
    fates.update(_put_back([on_disk[name] for name in lost_before & on_disk.keys()], database))
    decisions.bring_back_holds(spool, database)
    with database.read() as connection:
        gone = arrivals.files(connection) - on_disk.keys()
    return _told(fates, gone, len(on_disk), database)


def _told(fates: Counter[Arrival | str], gone: set[str], on_disk: int, database: Database) -> Found:
    if gone:
        with database.write() as connection:
            lost.mark(connection, gone)
    found = Found(
        adopted=fates[Arrival.NEW] + fates[_RESTORED],
        removed=fates[Arrival.DUPLICATE] + fates[_UNFINISHED] + fates[_PURGED],
        conflicts=fates[Arrival.CONFLICT],
        unreadable=fates[_UNREADABLE],
        lost=len(gone),
    )
    level = log.error if found.lost or found.unreadable or found.conflicts else log.info
    level("spool_rescanned", files=on_disk, **asdict(found))
    return found


def _look_at(path: Path) -> Kept | str:
    """The row that the receiver was about to commit, where a whole instance lies."""
    try:
        received = describe(path) if (seal := part10.seal_of(_meta(path))) else None
    except (InvalidDicomError, Malformed, OSError):
        log.exception("orphan_unreadable", file=path.name)
        return _UNREADABLE
    if received is None:
        path.unlink()
        return _UNFINISHED
    if seal != (received.size, received.sha256):
        log.error("orphan_damaged", file=path.name)
        return _UNREADABLE
    return Kept(received=received, file=path.name, received_at=path.stat().st_mtime)


def _adopt(group: list[Kept], spool: Spool, database: Database) -> list[Arrival | str]:
    """What was found of one study, in one transaction: a tick that judges studies meanwhile, in
    another process, never takes a part of it for the whole."""
    group.sort(key=lambda kept: kept.received_at)
    for kept in group:
        spool.make_durable(kept.file)  # killed before the sync, perhaps: no row without (P1)
    fates: list[Arrival | str] = []
    with database.write() as connection:
        found_of = arrivals.add_all(connection, group, how=tallies.ADOPTED)
        for kept, found in zip(group, found_of, strict=True):
            uid = kept.received.sop_instance_uid
            before = arrivals.file_of(connection, uid) if found is Arrival.DUPLICATE else kept.file
            if before != kept.file and not spool.instance_path(before).is_file():
                lost.replace_file(connection, uid, kept.file, now=database.now())
                fates.append(_RESTORED)
            else:
                fates.append(found)
    reached(Step.ORPHAN_ADOPTED)
    for kept, fate in zip(group, fates, strict=True):  # after the commit
        if fate is Arrival.DUPLICATE:
            spool.instance_path(kept.file).unlink()
        elif fate is Arrival.CONFLICT:
            spool.set_aside(kept.file, f"{kept.received.sha256}.dcm")
    return fates


def _put_back(there: list[Path], database: Database) -> list[Arrival | str]:
    """Files that were gone and are there again, under their names: whole, or still lost."""
    fates: list[Arrival | str] = []
    for path in there:
        found = _look_at(path)
        if not isinstance(found, Kept):
            fates.append(found)
            continue
        received = found.received
        with database.write() as connection:
            row = arrivals.known_of(connection, [received.sop_instance_uid])
            before = row.get(received.sop_instance_uid)
            if before and before[1] == path.name and before[0].sha256 == received.sha256:
                uid, now = received.sop_instance_uid, database.now()
                lost.replace_file(connection, uid, path.name, now=now)
                fates.append(_RESTORED)
    return fates


def _is_purged(kept: Kept, database: Database) -> bool:
    """Left over by a purge or a discard of an older version, which kept no list; what came after it
    is younger than its study. Or it was acknowledged before its study was deleted, and had no row
    yet by which that could have reached it."""
    uid = kept.received.study_instance_uid
    with database.read() as connection:
        row = studies.find(connection, uid)
        erased_at = erased.erased_at(connection, erased.digest_of(uid))
    if erased_at is not None and kept.received_at <= erased_at:
        return True
    if row is None or row["state"] not in (StudyState.PURGED, StudyState.DISCARDED):
        return False
    return bool(kept.received_at <= row["last_received_at"])


def describe(path: Path) -> ReceivedInstance:
    """What reception knows of an instance, read from a Part 10 file."""
    meta = _meta(path)
    data = data_of(path.read_bytes())
    walk = walk_for(meta.TransferSyntaxUID)
    walk.feed(data)
    identity = identify(walk.finish())
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


def _meta(path: Path) -> FileMetaDataset:
    """Every value is converted here, where it may be damaged: later, pydicom would raise it."""
    try:
        meta = read_file_meta_info(path)
        values = {element.keyword: element.value for element in meta}
        _ = values["TransferSyntaxUID"].is_implicit_VR
    except DAMAGED:
        raise Malformed("the file meta information is damaged") from None
    return meta
