"""What an attempt process leaves as its result, taken over from a folder where models may write."""

import hashlib
import stat
from contextlib import suppress
from math import isfinite
from pathlib import Path

from dicom_ai_node.engines.engine import MISMATCH, Failure
from dicom_ai_node.report import REPORT, UNREADABLE, Report, WrittenObject, read_report
from dicom_ai_node.spool import remove_folder
from dicom_ai_node.uids import is_uid

_MAX_REPORT = 16 << 20  # bytes


def take_result(folder: Path, target: Path, *, sha256: str) -> Report | Failure:
    """Move it to `target`, out of the model's reach, if there is a report and all it names.

    `sha256` is that of the report when it was written: a model that ran later may have come here.
    """
    if folder.is_symlink() or not folder.is_dir():
        return Failure(kind="no_output", text="the attempt ended well, and left no result")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    except OSError as error:
        return Failure(kind="error", text=f"the result cannot be taken over: {error.strerror}")
    if not _is_file(target / REPORT):
        return Failure(kind="no_output", text="the attempt ended well, and left no report")
    report = _read(target)
    if report is not None and _hash(target / REPORT) != sha256:
        return Failure(kind=MISMATCH, text="the report was altered after the attempt had ended")
    if report is None:
        return Failure(kind="no_output", text="the report of the attempt cannot be read")
    for each in report.objects:
        if each.file != Path(each.file).name or not _is_file(target / each.file):
            return Failure(kind="no_output", text="an object that the report names is not there")
    _remove_all_but({REPORT, *(each.file for each in report.objects)}, target)
    return report


def _read(folder: Path) -> Report | None:
    """None where the database could not take it: a result that was published is read again."""
    if (folder / REPORT).stat().st_size > _MAX_REPORT:
        return None
    try:
        report = read_report(folder)
        return report if report is not None and _is_well_formed(report) else None
    except UNREADABLE:
        return None


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _words(each: WrittenObject) -> list[str]:
    uids = [each.sop_class_uid, each.sop_instance_uid, each.series_instance_uid]
    return [each.kind, *uids, each.file, each.sha256, *each.forms]


def _numbers(each: WrittenObject) -> list[int]:
    return [each.size, each.frames, each.segments]


def _is_well_formed(report: Report) -> bool:
    words = [word for each in report.objects for word in _words(each)]
    words += [] if report.reason is None else [report.reason]
    "".join(words).encode()  # TypeError; ValueError for half a character
    uids = [each.sop_instance_uid for each in report.objects]
    seconds = report.timings.values()
    return (
        len(set(uids)) == len(uids)
        and all(map(is_uid, uids))
        and all(type(number) is int for each in report.objects for number in _numbers(each))
        and all(isinstance(each, int | float) and isfinite(each) for each in seconds)
    )


def _remove_all_but(names: set[str], folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        elif path.name not in names:
            with suppress(OSError):  # it stays as long as the results do
                path.unlink()


def _is_file(path: Path) -> bool:
    """A file, not a link to one: nothing that lies elsewhere is sent to a PACS."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
