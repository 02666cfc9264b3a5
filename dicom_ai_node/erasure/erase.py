"""A person has a study deleted: every file and row of it goes from this node, and nothing that is
elsewhere. Rows first: a row without a file would be a lost instance."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping

from dicom_ai_node import decisions, taken_out
from dicom_ai_node.database import erasure, fetched, holds, jobs_of_study, reviews, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.erased import digest_of
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import JobState
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.review import set_aside
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What a deletion would take out, and what it cannot reach."""

    study_instance_uid: str
    instances: int
    kept_aside: int  # files that contradict it
    jobs: int
    running: tuple[int, ...]  # jobs that it stops
    results_at: tuple[tuple[str, str, str], ...]  # model, version, peer: these stay there
    compared_in: tuple[int, ...]  # jobs on other studies, which name its images
    stopped_in: tuple[int, ...]  # of those, without a result yet: their studies are judged again

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        found["results_at"] = [
            {"model": model, "version": version, "peer": peer}
            for model, version, peer in self.results_at
        ]
        return found


def look_at(spool: Spool, database: Database, study_instance_uid: str) -> Prospect:
    """Raises NodeError where it cannot be deleted now."""
    with database.read() as connection:
        row = _deletable(connection, study_instance_uid, now=database.now())
        found = jobs_of_study.every(connection, row["id"])
        out = reviews.results_out(connection, row["id"])
        uids = _sop_instance_uids(connection, row)
        compared = erasure.compared_with(connection, row)
    return Prospect(
        study_instance_uid=study_instance_uid,
        instances=len(uids),
        kept_aside=len(_aside(spool, study_instance_uid, uids)),
        jobs=len(found),
        running=tuple(each.id for each in found if each.state is JobState.RUNNING),
        results_at=tuple((each["model"], each["version"], each["peer"]) for each in out),
        compared_in=tuple(each.id for each in compared),
        stopped_in=tuple(each.id for each in compared if erasure.is_waiting(each)),
    )


def erase(spool: Spool, database: Database, study_instance_uid: str) -> int:
    """How many instances are gone. What is killed meanwhile is finished by the next deletion, the
    next start, or within an hour.

    Raises NodeError where it cannot be deleted now. A job of it that runs has lost its lease: the
    worker ends its attempt at its next look, and what that has made is thrown away.
    """
    taken_out.finish(spool, database)
    with database.read() as connection:
        row = _deletable(connection, study_instance_uid, now=database.now())
        uids = _sop_instance_uids(connection, row)
        mentioned = erasure.mentions(connection, row)
    aside = _aside(spool, study_instance_uid, uids)  # all of them are read, which takes its time
    with database.write() as connection:
        now = database.now()
        row = _deletable(connection, study_instance_uid, now=now)
        gone = erasure.erase(connection, row, mentioned=mentioned, now=now)
        digest = digest_of(study_instance_uid)
        noted = taken_out.note(
            spool, gone.files, conflict=aside, outbox=gone.keys, of_study=(digest, now)
        )
    reached(Step.ERASURE_RECORDED)
    taken_out.remove(spool, gone.files, noted, conflict=aside, outbox=gone.keys)
    decisions.note_deleted(spool, database, dict.fromkeys((digest, *gone.keys), now))
    decisions.forget_hold(spool, database, study_instance_uid)
    database.empty_log()
    log.warning("study_erased", study=pseudonym(study_instance_uid), instances=len(gone.files))
    return len(gone.files)


def _deletable(connection: Connection, study_instance_uid: str, *, now: float) -> RowMapping:
    row = studies.find(connection, study_instance_uid)
    if row is None:
        raise NodeError("no such study: see `dicom-ai-node studies list`")
    holds.require_free(row)
    if row["state"] == StudyState.RECEIVING and row["association_ended_at"] is None:
        raise NodeError("the study is still coming: wait until its sender has ended")
    if fetched.is_under_way(connection, row, now=now):
        raise NodeError(
            "the study is being fetched, or earlier ones for it: try again in a minute, while the "
            "node runs"
        )
    if notes := erasure.notes_on_their_way(connection, row["id"]):
        raise NodeError(
            f"job {notes[0]} takes results of it back, and its peer has not heard yet: wait until "
            f"it is done, or `jobs cancel {notes[0]}` it if it never will be"
        )
    if erasure.is_being_retracted(connection, row["id"]):
        raise NodeError(
            "results of it are about to be taken back: `studies show` says what that waits for"
        )
    return row


def _sop_instance_uids(connection: Connection, row: RowMapping) -> set[str]:
    return {each["sop_instance_uid"] for each in studies.instance_rows(connection, row["id"])}


def _aside(spool: Spool, study_instance_uid: str, uids: set[str]) -> Sequence[str]:
    """Names of files that were set aside: of this study, or because they contradict it."""
    return [
        path.name
        for path, found in set_aside(spool)
        if found.study_instance_uid == study_instance_uid or found.sop_instance_uid in uids
    ]
