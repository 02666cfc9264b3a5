"""Corrections that came: rejection notes (IHE IOCM), and studies that name another patient now."""

from dataclasses import dataclass, field

import pydicom.errors
from sqlalchemy import RowMapping

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import corrections, open_studies, rejections, studies
from dicom_ai_node.database.corrections import Correction
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.rejections import NO_REJECTION, QUALITY, RETENTION, TITLES
from dicom_ai_node.database.retracted import CORRECTED, OTHER_PATIENT
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import DAMAGED
from dicom_ai_node.intake.rejection_note import RejectionNote, read_note
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

_NOTHING = RejectionNote(code=NO_REJECTION, rejects=())
_FOR_SAFETY, _FOR_QUALITY = "patient-safety", "quality"  # as Rejection has them


@dataclass(slots=True, kw_only=True)
class Corrections:
    """Where nothing has come since the last look, this costs one question to the database."""

    config: Config
    spool: Spool
    database: Database
    _seen: int = field(default=-1, init=False)
    _unreadable: set[str] = field(default_factory=set, init=False)  # notes, at the last look

    def look(self, *, now: float) -> None:
        """Before studies are judged. May be repeated: what was corrected is not corrected again."""
        with self.database.read() as connection:
            last = open_studies.last_change(connection)
            if last == self._seen and not self._unreadable:
                return
            notes = rejections.unread(connection)
            doubtful = corrections.of_two_patients(connection, after=self._seen)
        self._unreadable = {note["sop_instance_uid"] for note in notes if not self._take(note, now)}
        for row in doubtful:
            self._doubt(row, now)
        self._seen = last

    def _take(self, row: RowMapping, now: float) -> bool:
        """A note of our own, come back from a peer, rejects nothing here. False where it cannot be
        read now, but perhaps at the next look."""
        uid = row["sop_instance_uid"]
        try:
            note = read_note(self.spool.instance_path(row["file"]))
        except OSError:
            if uid not in self._unreadable:
                log.exception("note_not_read", study=pseudonym(row["study_instance_uid"]))
            return False
        except (pydicom.errors.InvalidDicomError, InputError, *DAMAGED):
            log.exception("note_not_read", study=pseudonym(row["study_instance_uid"]))
            note = _NOTHING
        with self.database.write() as connection:
            if rejections.is_ours(connection, [uid]):
                note = _NOTHING
            rejections.add(connection, uid, note.code, note.rejects, now=now)
            if not note.rejects:
                return True
            held = rejections.studies_with(connection, note.rejects)
            named = dict.fromkeys((row["study_instance_uid"], *held))
            made = corrections.made_from(connection, list(named), note.rejects)
            why = f"a rejection note came ({TITLES[note.code]})"
            if note.code == RETENTION:  # what was found in them stays true
                corrections.stop(connection, made, f"{CORRECTED}{why}", now=now)
                out = 0
            else:
                correction = Correction(why=why, rejection=self._rejection(note.code))
                out = len(corrections.correct(connection, made, correction, now=now))
            for study_instance_uid in held:
                studies.reopen(connection, study_instance_uid)
        log.warning(
            "images_rejected",
            study=pseudonym(row["study_instance_uid"]),
            code=note.code,
            instances=len(note.rejects),
            jobs=[each.id for each in made],
            results_out=out,
        )
        return True

    def _rejection(self, code: str) -> str | None:
        if self.config.corrections.rejected == "mark":
            return None
        return _FOR_QUALITY if code == QUALITY else _FOR_SAFETY

    def _doubt(self, row: RowMapping, now: float) -> None:
        """Its jobs are stopped already; here those are marked whose results are out."""
        by_hand = self.config.corrections.patient == "mark"
        correction = Correction(why=OTHER_PATIENT, rejection=None if by_hand else _FOR_SAFETY)
        with self.database.write() as connection:
            known = corrections.of_study(connection, row["id"])
            out = corrections.correct(connection, known, correction, now=now)
        if out:
            log.error(
                "patient_corrected",
                study=pseudonym(row["study_instance_uid"]),
                jobs=[each.id for each in out],
                then="`results retract --study`" if by_hand else "they are retracted now",
            )
