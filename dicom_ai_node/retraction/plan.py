"""Which notes a recall takes: one for each study and peer."""

import enum
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from dicom_ai_node.database.produced import Produced
from dicom_ai_node.encoders.words.words import say
from dicom_ai_node.header import DAMAGED, read_header
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.language import Language
from dicom_ai_node.spool import Spool

RECALLED = "{model} was recalled: {why}. Do not use the objects that are named here."
TAKEN_BACK = (
    "Results of {model} on this study were taken back: {why}. "
    "Do not use the objects that are named here."
)
_NAMES = ("SOPClassUID", "SeriesInstanceUID")
NOTE_REFUSED = "it did not take the rejection note (`jobs show {job}`): hide or delete them there"
NOT_NAMED = "the node no longer knows the series of some of its objects: reject them by hand there"


class Rejection(enum.StrEnum):
    """Why, in the terms of IHE IOCM (codes of PS3.16 CID 7010)."""

    PATIENT_SAFETY = "patient-safety"  # 113037
    QUALITY = "quality"  # 113001


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNote:
    """What one peer is to be told about one study and one version of the model.

    Of `is_sure` every object is there. Archives may refuse a note over objects that they do not
    have, so what is perhaps there is in another one.
    """

    of: Job
    peer: str
    objects: tuple[Produced, ...]
    is_sure: bool
    rejection: Rejection
    sentence: str  # RECALLED or TAKEN_BACK
    why: str

    @property
    def study_instance_uid(self) -> str:
        return self.of.study_instance_uid

    @property
    def key(self) -> str:
        """Equal for equal notes: one that was written before a crash is found again."""
        uids = sorted(each.sop_instance_uid for each in self.objects)
        what = (self.of.model, self.of.version, self.study_instance_uid, self.peer, self.rejection)
        return hashlib.sha256("\n".join(["retraction", *what, *uids]).encode()).hexdigest()

    def text(self, language: Language = Language.ENGLISH) -> str:
        """As the note says it; `why` is in the words of who recalled."""
        return say(
            language,
            self.sentence,
            model=f"{self.of.model} {self.of.version}",
            why=self.why,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """What no note can be made for, and why: a sentence with the next step."""

    study_instance_uid: str
    peer: str
    objects: tuple[Produced, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`rejected` and `waiting` count objects that a note names which is there, or on its way."""

    notes: tuple[PlannedNote, ...]
    by_hand: tuple[ByHand, ...]
    rejected: int = 0
    waiting: int = 0


def plan(
    produced: Sequence[Produced],
    noted: Mapping[tuple[str, str], Job],
    spool: Spool,
    *,
    rejection: Rejection,
    sentence: str,
    why: str,
) -> Plan:
    """For what is at a peer, or may be, and no note rejects yet."""
    there = [each for each in produced if each.may_be_there]
    new = [each for each in there if (each.peer, each.sop_instance_uid) not in noted]
    notes: list[PlannedNote] = []
    by_hand: list[ByHand] = []
    for (study, peer, *_, is_sure), group in groupby(sorted(new, key=_note_of), key=_note_of):
        objects = [named(each, spool) for each in group]
        known = tuple(each for each in objects if each.sop_class_uid and each.series_instance_uid)
        unknown = tuple(each for each in objects if each not in known)
        if known:
            notes.append(
                PlannedNote(
                    of=known[-1].job,
                    peer=peer,
                    objects=known,
                    is_sure=is_sure,
                    rejection=rejection,
                    sentence=sentence,
                    why=why,
                )
            )
        if unknown:
            by_hand.append(
                ByHand(study_instance_uid=study, peer=peer, objects=unknown, why=NOT_NAMED)
            )
    noted_there = [each for each in there if each not in new]
    states = [noted[each.peer, each.sop_instance_uid].state for each in noted_there]
    return Plan(
        notes=tuple(notes),
        by_hand=(*by_hand, *_refused(noted_there, noted)),
        rejected=states.count(JobState.DONE),
        waiting=states.count(JobState.READY),
    )


def _refused(
    named_before: Sequence[Produced], noted: Mapping[tuple[str, str], Job]
) -> Iterator[ByHand]:
    """What is surely there, and named by a note that its peer has refused."""
    by_note: dict[int, list[Produced]] = {}
    for each in named_before:
        note = noted[each.peer, each.sop_instance_uid]
        if note.state is JobState.UNDELIVERED and each.is_there:
            by_note.setdefault(note.id, []).append(each)
    for number, objects in by_note.items():
        first = objects[0]
        yield ByHand(
            study_instance_uid=first.job.study_instance_uid,
            peer=first.peer,
            objects=tuple(objects),
            why=NOTE_REFUSED.format(job=number),
        )


def named(each: Produced, spool: Spool) -> Produced:
    """With class and series, where the row or the file in the outbox says them."""
    if each.sop_class_uid and each.series_instance_uid:
        return each
    try:
        header = read_header(spool.outbox_path(each.job.key) / each.file, _NAMES)
    except (OSError, *DAMAGED):
        return each
    sop_class_uid, series_instance_uid = (str(header.get(name) or "") for name in _NAMES)
    return replace(each, sop_class_uid=sop_class_uid, series_instance_uid=series_instance_uid)


def _note_of(each: Produced) -> tuple[str, str, str, str, bool]:
    of = each.job
    return of.study_instance_uid, each.peer, of.model, of.version, each.is_there
