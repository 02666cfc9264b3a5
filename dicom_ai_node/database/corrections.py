"""What becomes of jobs whose images are not to be used, or are said to be of two patients."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select

from dicom_ai_node.database import jobs, recalls, retractions
from dicom_ai_node.database.produced import ResultsOf, has_result, notes_of, produced
from dicom_ai_node.database.retracted import (
    CORRECTED,
    RETRACTED_BY_NODE,
    is_corrected,
    is_note,
    is_retracted,
)
from dicom_ai_node.database.stopped import PATIENT_DIFFERS
from dicom_ai_node.database.tables import job, study
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.study import StudyState

_AT_ONCE = 500  # bound parameters of one statement
BEFORE_A_RESULT = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """`why` ends a sentence that begins with the job's images. With `rejection`, what is out is
    taken back for that reason; without, a person decides."""

    why: str
    rejection: str | None


def of_two_patients(connection: Connection, *, after: int) -> Sequence[RowMapping]:
    """Studies that changed after that number, and whose instances name several patients."""
    query = select(study).where(
        study.c.changed > after,
        study.c.state == StudyState.NEEDS_REVIEW,
        study.c.reason == PATIENT_DIFFERS,
    )
    return connection.execute(query).mappings().all()


def made_from(
    connection: Connection, study_instance_uids: Sequence[str], sop_instance_uids: Sequence[str]
) -> Sequence[Job]:
    """Jobs that had one of these instances as an input, also as an earlier study of the patient's,
    and those that worked on their masks."""
    named, found = set(sop_instance_uids), dict[int, Job]()
    every = _of_patients(connection, study_instance_uids)
    for each in every:
        if any(not named.isdisjoint(uids) for uids in each.inputs.values()):
            found[each.id] = each
    while more := [
        each for each in every if each.id not in found and found.keys() & set(each.uses.values())
    ]:
        found.update((each.id, each) for each in more)
    return [found[number] for number in sorted(found)]


def of_study(connection: Connection, study_id: int) -> Sequence[Job]:
    query = select(job).where(job.c.study_id == study_id, ~is_note()).order_by(job.c.id)
    return [jobs.of_row(row) for row in connection.execute(query).mappings()]


def stop(connection: Connection, known: Sequence[Job], why: str, *, now: float) -> int:
    """End what has no result yet, let nobody retry it, and leave the others alone; how many were
    ended."""
    number = 0
    for each in known:
        current = jobs.find(connection, each.id)  # it may have gone with one that it depends on
        if current is not None and current.state in BEFORE_A_RESULT:
            jobs.move(connection, current, JobState.CANCELLED, now=now, why=why)
            number += 1
        elif current is not None and current.state is JobState.QUARANTINED:
            jobs.note(connection, current.id, current.state, current.state, why, now)
    return number


def correct(
    connection: Connection, known: Sequence[Job], correction: Correction, *, now: float
) -> Sequence[Job]:
    """Mark them all, send nothing more of them, and have taken back what is out; those of which
    something is out, or may be, and was not marked for this reason before: a note that comes later
    may take back what a person was to decide about."""
    stop(connection, known, f"{CORRECTED}{correction.why}", now=now)
    out = []
    for each in known:
        current = jobs.find(connection, each.id)
        if current is None or is_corrected(connection, each.id, correction.why):
            continue
        is_out = has_result(connection, current) and not is_retracted(connection, current.id)
        _mark(connection, current, correction, now)
        if is_out:
            out.append(current)
            if correction.rejection is not None:
                by, why = RETRACTED_BY_NODE, correction.why
                retractions.mark(connection, [current], why=why, is_delivering=True, now=now, by=by)
                recalls.ask(
                    connection, current.id, rejection=correction.rejection, why=why, now=now
                )
    return out


def wrong_results(connection: Connection, study_instance_uid: str) -> Sequence[str]:
    """Peers that have, or may have, results which rest on images that are not to be used, and that
    no note has named yet."""
    of = ResultsOf(study_instance_uid=study_instance_uid)
    noted = notes_of(connection, of)
    out = [each for each in produced(connection, of) if each.may_be_there]
    wrong = [
        each.peer
        for each in out
        if (each.peer, each.sop_instance_uid) not in noted and is_corrected(connection, each.job.id)
    ]
    return sorted(set(wrong))


def _mark(connection: Connection, current: Job, correction: Correction, now: float) -> None:
    why = f"{CORRECTED}{correction.why}"
    if current.state is not JobState.READY:
        jobs.note(connection, current.id, current.state, current.state, why, now)
        return
    retractions.count_as_tried(connection, current.id)
    jobs.move(connection, current, JobState.CANCELLED, now=now, why=why)


def _of_patients(connection: Connection, study_instance_uids: Sequence[str]) -> Sequence[Job]:
    """All jobs on studies of the patients of these."""
    patients: dict[str, None] = {}
    for at in range(0, len(study_instance_uids), _AT_ONCE):
        named = study.c.study_instance_uid.in_(study_instance_uids[at : at + _AT_ONCE])
        query = select(study.c.patient_digest).where(named)
        patients.update(dict.fromkeys(connection.execute(query).scalars()))
    found: list[Job] = []
    for patient in patients:
        of_patient = select(study.c.id).where(study.c.patient_digest == patient)
        query = select(job).where(job.c.study_id.in_(of_patient), ~is_note()).order_by(job.c.id)
        found += [jobs.of_row(row) for row in connection.execute(query).mappings()]
    return found
