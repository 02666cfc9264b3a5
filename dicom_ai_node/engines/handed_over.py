"""What an attempt process leaves as its result, taken over from a folder where models may write."""

import stat
from pathlib import Path

from dicom_ai_node.attempt import REPORT, Report, read_report
from dicom_ai_node.engines.engine import Failure


def take_result(folder: Path, target: Path) -> Report | Failure:
    """Move it to `target`, out of the model's reach, if there is a report and all it names."""
    if not folder.is_dir():
        return Failure(kind="no_output", text="the attempt ended well, and left no result")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)
    if not _is_file(target / REPORT):
        return Failure(kind="no_output", text="the attempt ended well, and left no report")
    try:
        report = read_report(target)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        report = None
    if report is None:
        return Failure(kind="no_output", text="the report of the attempt cannot be read")
    for each in report.objects:
        if each.file != Path(each.file).name or not _is_file(target / each.file):
            return Failure(kind="no_output", text="an object that the report names is not there")
    return report


def _is_file(path: Path) -> bool:
    """A file, not a link to one: nothing that lies elsewhere is sent to a PACS."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
