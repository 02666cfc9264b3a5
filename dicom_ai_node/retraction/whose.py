"""Whose study it is, for a note about it: from what is kept here, or from the peer that has it."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom import Dataset
from sqlalchemy import Connection

from dicom_ai_node.config.peers import DicomwebPeer, DimsePeer, FolderPeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import InputError, PeerUnreachable
from dicom_ai_node.header import DAMAGED, read_head
from dicom_ai_node.peers.association import name_of
from dicom_ai_node.peers.find import find_study
from dicom_ai_node.retraction.plan import PlannedNote
from dicom_ai_node.spool import Spool

_JOBS = 1000  # of one study, in which a result is looked for


def header_for(note: PlannedNote, config: Config, spool: Spool, database: Database) -> Dataset:
    """One of the study, without pixels, nothing decoded; InputError where nobody has one."""
    with database.read() as connection:
        for path in _files(connection, config, spool, note):
            header = _read(path)
            if header is not None and header.get("StudyInstanceUID") == note.study_instance_uid:
                return header
    peer = config.peers[note.peer]
    if isinstance(peer, DimsePeer):
        return _asked(note, peer, config.node.ae_title[0])
    if isinstance(peer, DicomwebPeer):
        raise InputError(
            "the study and its results are deleted here, and a peer of kind dicomweb is not asked "
            "for them: reject the results by hand there"
        )
    raise InputError(
        "the study and its results are deleted here, and the folder has none of them either: "
        "there is nothing to retract there, unless the files were moved; delete them by hand"
    )


def _files(
    connection: Connection, config: Config, spool: Spool, note: PlannedNote
) -> Iterator[Path]:
    """Of the study, what is known: images that the results were made of, for others may name
    another patient; then results, here and in folders; then other images."""
    used = {uid for uids in note.of.inputs.values() for uid in uids}
    rows = studies.instance_rows(connection, note.of.study_id)
    for row in (row for row in rows if row["sop_instance_uid"] in used):
        yield spool.instance_path(row["file"])
    study_instance_uid = note.study_instance_uid
    every = jobs.listing(connection, study_instance_uid=study_instance_uid, limit=_JOBS)
    for job in (each for each in every if not each.is_note):
        for row in deliveries.of_job(connection, job.id):
            yield spool.outbox_path(job.key) / row["file"]
    for folder in (peer for peer in config.peers.values() if isinstance(peer, FolderPeer)):
        for each in note.objects:
            yield folder.path / f"{each.sop_instance_uid}.dcm"
    for row in (row for row in rows if row["sop_instance_uid"] not in used):
        yield spool.instance_path(row["file"])


def _read(path: Path) -> Dataset | None:
    try:
        return read_head(path)
    except (OSError, pydicom.errors.InvalidDicomError, InputError, *DAMAGED):
        return None


def _asked(note: PlannedNote, peer: DimsePeer, calling_ae_title: str) -> Dataset:
    try:
        found = find_study(peer, note.study_instance_uid, calling_ae_title=calling_ae_title)
    except PeerUnreachable as error:
        raise InputError(
            f"the study is deleted here, and {error}: run this again when it answers C-FIND, or "
            "reject the results by hand there"
        ) from None
    if found is None:
        raise InputError(
            f"the study is deleted here, and {name_of(peer)} names no one patient for it: it is "
            "perhaps deleted there as well; look, and reject the results by hand if not"
        )
    return found
