"""Outbox and job table reconciled: after a restored backup, either may be older than the other.

A folder that no job knows stays: its job is made again when its study is judged, under the same
key, and the worker publishes what lies there, under the same UIDs.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pydicom

from dicom_ai_node.database import lost, retractions
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.erased import is_erased_job
from dicom_ai_node.header import DAMAGED
from dicom_ai_node.job import JobState
from dicom_ai_node.log import get_logger
from dicom_ai_node.report import RETRACTED, UNREADABLE, read_report
from dicom_ai_node.spool import Spool, remove_folder

log = get_logger(__name__)

_NOTE = "*-rejection.dcm"
_FORGOTTEN = "a rejection note of which the database knew nothing names them"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOutbox:
    """What a rescan of the outbox found and did."""

    run_again: int = 0  # jobs whose results are gone, and of which nothing had been sent
    gone: int = 0  # jobs whose results are gone, and of which something had been sent
    without_job: int = 0  # folders that no job knows
    forgotten_notes: int = 0  # rejection notes among them


def rescan_outbox(spool: Spool, database: Database) -> FoundOutbox:
    """Before anything is delivered."""
    ends = list(_without_results(spool, database))
    with database.read() as connection:
        folders = {path.name: path for path in spool.outbox.glob("??/*") if path.is_dir()}
        without_job = lost.unknown_keys(connection, sorted(folders))
        gone = [key for key in without_job if is_erased_job(connection, key)]
    for key in gone:  # published by a worker that was killed when its study was deleted meanwhile
        remove_folder(folders.pop(key))
    unknown = [folders[key] for key in without_job if key in folders]
    notes = [note for folder in unknown for note in folder.glob(_NOTE)]
    if notes:
        _take_back({uid for note in notes for uid in _named(note)}, folders, database)
    found = FoundOutbox(
        run_again=ends.count(JobState.QUEUED),
        gone=ends.count(JobState.UNDELIVERED),
        without_job=len(unknown),
        forgotten_notes=len(notes),
    )
    level = log.error if ends or notes else log.info
    level("outbox_rescanned", folders=len(folders), **asdict(found))
    return found


def _without_results(spool: Spool, database: Database) -> Iterator[JobState]:
    with database.read() as connection:
        waiting = lost.to_be_sent(connection)
    for job in waiting:
        if not spool.outbox_path(job.key).is_dir():
            with database.write() as connection:
                state = lost.without_results(connection, job, now=database.now())
            log.error("results_gone", job=job.id, state=state)
            yield state


def _take_back(rejected: set[str], folders: dict[str, Path], database: Database) -> None:
    """What such a note rejects must not be sent as though it were not: neither by jobs that are
    known, nor by those to come."""
    with database.write() as connection:
        known = lost.jobs_with_objects(connection, sorted(rejected))
        retractions.mark(connection, known, why=_FORGOTTEN, is_delivering=False, now=database.now())
    for folder in folders.values():
        try:
            report = read_report(folder)
        except UNREADABLE:
            continue  # nor can it be published
        if report and any(each.sop_instance_uid in rejected for each in report.objects):
            (folder / RETRACTED).touch()


def _named(note: Path) -> Iterator[str]:
    """The SOP Instance UIDs that a rejection note rejects (PS3.3 C.17.2)."""
    try:
        ds = pydicom.dcmread(note)
        for study in ds.CurrentRequestedProcedureEvidenceSequence:
            for series in study.ReferencedSeriesSequence:
                yield from (str(e.ReferencedSOPInstanceUID) for e in series.ReferencedSOPSequence)
    except (OSError, *DAMAGED):
        log.exception("note_unreadable", folder=note.parent.name)
