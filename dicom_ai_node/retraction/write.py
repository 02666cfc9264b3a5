"""A planned note becomes a file in the outbox, then rows: a crash between them repeats nothing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom import Dataset

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import new_jobs, retractions
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.retractions import NewNote
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.key_object_document import KeyObject
from dicom_ai_node.encoders.rejection import PATIENT_SAFETY, QUALITY, rejection_note
from dicom_ai_node.errors import InputError, NodeError
from dicom_ai_node.form import Kind
from dicom_ai_node.header import values_of
from dicom_ai_node.job import Job, rerun_key
from dicom_ai_node.retraction.plan import PlannedNote, Rejection
from dicom_ai_node.retraction.whose import header_for
from dicom_ai_node.spool import Spool, durable_write, remove_folder

FILE = "1-rejection.dcm"
_TITLES = {Rejection.PATIENT_SAFETY: PATIENT_SAFETY, Rejection.QUALITY: QUALITY}
# of those with rows and columns (PS3.3 C.17.3): as IMAGE, all others as COMPOSITE
_IMAGES = frozenset(
    {Kind.SEG, Kind.LABELMAP, Kind.FRACTIONAL, Kind.PM, Kind.SUMMARY, Kind.KEY_IMAGES}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Where notes are written; one process at a time."""

    config: Config
    spool: Spool
    database: Database

    def send(self, note: PlannedNote) -> Job:
        """Queue it for its peer; InputError says why that cannot be, and what to do."""
        if note.peer not in self.config.peers:
            raise InputError(
                f"{note.peer} is configured no longer: enter it under `peers` and run this again, "
                "or reject the results by hand there"
            )
        key = self._free_key(note.key)
        folder = self.spool.outbox_path(key)
        if not (folder / FILE).exists():
            header = header_for(note, self.config, self.spool, self.database)
            self._write(note, header, key)
        return self._add(note, pydicom.dcmread(folder / FILE), key)

    def _free_key(self, key: str) -> str:
        """Another one than that of the same note which somebody has cancelled."""
        with self.database.read() as connection:
            cancelled = new_jobs.standing(connection, key)
        return rerun_key(cancelled.key) if cancelled else key

    def _write(self, note: PlannedNote, header: Dataset, key: str) -> None:
        ds = rejection_note(
            _TITLES[note.rejection],
            [
                KeyObject(
                    series_instance_uid=each.series_instance_uid,
                    sop_class_uid=each.sop_class_uid,
                    sop_instance_uid=each.sop_instance_uid,
                    is_image=each.kind in _IMAGES,
                )
                for each in note.objects
            ],
            note.text(self.config.node.language),
            header=header,
            ids=DerivedIds(job_key=key),
            made_at=datetime.now().astimezone(),
            node_name=self.config.node.ae_title[0],
            language=self.config.node.language,
        )
        folder = self.spool.incoming / f"retraction-{key}"
        remove_folder(folder)  # of a run that was killed
        folder.mkdir(mode=0o700)
        _save(ds, folder)
        _require_right(pydicom.dcmread(folder / FILE), note, header)
        self.spool.publish(folder, key)

    def _add(self, note: PlannedNote, written: Dataset, key: str) -> Job:
        new = NewNote(
            key=key,
            of=note.of,
            peer=note.peer,
            rejects=tuple(each.sop_instance_uid for each in note.objects),
            sop_class_uid=str(written.SOPClassUID),
            series_instance_uid=str(written.SeriesInstanceUID),
            sop_instance_uid=str(written.SOPInstanceUID),
            file=FILE,
            why=note.text(),
        )
        with self.database.write() as connection:
            return retractions.add_note(connection, new, now=self.database.now())


def _require_right(written: Dataset, note: PlannedNote, header: Dataset) -> None:
    """The last look, at what is on the disk: whose it is, and what it names (P6)."""
    named = {
        item.ReferencedSOPInstanceUID
        for study in written.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    same_study = written.StudyInstanceUID == note.study_instance_uid
    same_patient = values_of(written, "PatientID") == values_of(header, "PatientID")
    if not (same_study and same_patient and named == {e.sop_instance_uid for e in note.objects}):
        raise NodeError(
            "a note came out wrong, about another patient or other objects: it is not sent; "
            "reject the results by hand, and tell the makers of this program"
        )


def _save(ds: Dataset, folder: Path) -> None:
    part = folder / f".{FILE}.part"
    ds.save_as(part, enforce_file_format=True)
    content = part.read_bytes()
    part.unlink()
    durable_write(folder / FILE, [content], part)
