"""A study that waits for a person: what speaks against it, and the two ways on."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from sqlalchemy import RowMapping

from dicom_ai_node import taken_out
from dicom_ai_node.database import holds, retractions, reviews, studies
from dicom_ai_node.database.arrivals import ReceivedInstance
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import LeaseLost, NodeError
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.receive.elements import Malformed
from dicom_ai_node.receive.rescan import describe
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance, StudyState

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """What is gone, and what only a person can take back: model, version, peer."""

    instances: int
    results_out: Sequence[tuple[str, str, str]]


def accept_first(spool: Spool, database: Database, study_instance_uid: str) -> int:
    """Have a study judged as it is stored, what came later and differed left aside; how many
    instances that are. Raises NodeError where that would mix patients."""
    row, instances = _read(spool, database, study_instance_uid)
    if row["state"] != StudyState.NEEDS_REVIEW:
        raise NodeError(
            f"the study is {row['state']}: only one that needs a review can be reviewed; leave out "
            "--reviewed to have a settled one judged again"
        )
    patients = {_patient_of(instance) for instance in instances}
    if len(patients) != 1:
        raise NodeError(
            "its stored instances name different patients, and no one of them can be right for "
            "all: have the PACS correct it, `studies discard` it here, and send it again, or send "
            "the others under a Study Instance UID of their own"
            if patients
            else "nothing of it is stored: send it again"
        )
    with database.write() as connection:
        if not reviews.accept(connection, row, patients.pop()):
            raise NodeError("the study has just changed: look at it again (`studies show`)")
        retractions.reviewed(connection, row["id"], now=database.now())
        retractions.made_again(connection, row["id"], now=database.now())
    log.warning("study_reviewed", study=pseudonym(study_instance_uid), instances=len(instances))
    return len(instances)


def look_at(
    spool: Spool, database: Database, study_instance_uid: str
) -> tuple[int, Sequence[tuple[str, str, str]]]:
    """What a discard would do: how many instances go, and which results are out.

    Raises NodeError where it cannot be discarded.
    """
    row, instances = _read(spool, database, study_instance_uid)
    _check_discardable(row)
    with database.read() as connection:
        out = reviews.results_out(connection, row["id"])
    return len(instances), [(each["model"], each["version"], each["peer"]) for each in out]


def discard(spool: Spool, database: Database, study_instance_uid: str) -> int:
    """Take a study out, so that the right one can be sent under its UID; how many instances that
    were. Rows first: a row without a file would be a lost instance."""
    with database.write() as connection:
        row = studies.find(connection, study_instance_uid)
        if row is None:
            raise NodeError("no such study: see `dicom-ai-node studies list`")
        _check_discardable(row)
        if running := reviews.users(connection, row):
            raise NodeError(
                f"job {running[0]} is working on it: wait until it has ended, or `jobs cancel "
                f"{running[0]}` it and try again"
            )
        try:
            files = reviews.discard(connection, row["id"], now=database.now())
        except LeaseLost:
            raise NodeError("a job of it has just begun: try again when it has ended") from None
        noted = taken_out.note(spool, files)
    reached(Step.DISCARD_RECORDED)
    taken_out.remove(spool, files, noted)
    log.warning("study_discarded", study=pseudonym(study_instance_uid), instances=len(files))
    return len(files)


def kept_aside(spool: Spool, instances: Sequence[Instance]) -> list[Path]:
    """What came under UIDs of these instances with other contents; whoever asks waits while all
    that was set aside is read."""
    uids = {instance.sop_instance_uid for instance in instances}
    return [path for path, found in set_aside(spool) if found.sop_instance_uid in uids]


def set_aside(spool: Spool) -> Iterator[tuple[Path, ReceivedInstance]]:
    """All that was, and can be read: doctor names the rest."""
    for path in sorted(spool.conflict.glob("??/*.dcm")):
        with suppress(InvalidDicomError, Malformed, OSError):
            yield path, describe(path)


def _read(
    spool: Spool, database: Database, study_instance_uid: str
) -> tuple[RowMapping, Sequence[Instance]]:
    with database.read() as connection:
        row = studies.find(connection, study_instance_uid)
        if row is None:
            raise NodeError("no such study: see `dicom-ai-node studies list`")
        return row, studies.instances(connection, spool, row["id"])


def _patient_of(instance: Instance) -> str:
    """By the file itself, which must be what was received."""
    try:
        found = describe(instance.path)
    except (InvalidDicomError, Malformed, OSError):
        found = None
    if found is None or found.sha256 != instance.sha256:
        raise NodeError(
            "a stored file of it is gone, or not what was received: `studies discard` it, and send "
            "it again"
        )
    return found.patient_digest


def _check_discardable(row: RowMapping) -> None:
    holds.require_free(row)
    state = StudyState(row["state"])
    if state is StudyState.RECEIVING:
        raise NodeError("the study is still coming: wait until it is judged (`studies show`)")
    if state in (StudyState.PURGED, StudyState.DISCARDED):
        raise NodeError(f"the study is {state} already: nothing of it is stored")
