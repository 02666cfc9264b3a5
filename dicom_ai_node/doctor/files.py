"""The spool: rows and files both ways, and whether the files are what they were."""

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import RowMapping

from dicom_ai_node.database import arrivals, health
from dicom_ai_node.database.engine import Database
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn
from dicom_ai_node.header import data_begins
from dicom_ai_node.outbox import verified
from dicom_ai_node.spool import Spool

_UNDER_WAY_S = 60.0  # a file may wait so long for its row
_SAMPLE = 200
_HEAD = 4096  # of a Part 10 file: preamble and the length of its meta information
_SEND_AGAIN = "have the PACS send the studies again: the log of `rescan` names them"


def examine(spool: Spool, database: Database, *, every: bool) -> Iterator[Finding]:
    yield _rows_and_files(spool, database)
    yield _instances(spool, database, every=every)
    yield _unsent(spool, database)
    yield _orphans(spool, database)


def _rows_and_files(spool: Spool, database: Database) -> Finding:
    """What comes or goes at this moment is no difference."""
    on_disk = {path.name: path for path in spool.instance_files()}
    known = _known(database)
    old = time.time() - _UNDER_WAY_S
    adopted = [n for n, path in on_disk.items() if n not in known and _written(path) < old]
    missing = [name for name in known - on_disk.keys() if not spool.instance_path(name).is_file()]
    lost = len(_known(database).intersection(missing)) if missing else 0
    text = f"{len(known)} rows, {len(on_disk)} files"
    if lost:
        return fail("rows and files", f"{lost} rows have lost their file ({text})", _SEND_AGAIN)
    if adopted:
        step = "the next start of `receive` adopts them (`rescan`), or names what it cannot read"
        return warn("rows and files", f"{len(adopted)} files have no row ({text})", step)
    return ok("rows and files", text)


def _known(database: Database) -> set[str]:
    with database.read() as connection:
        return arrivals.files(connection)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()  # it has just gone


def _instances(spool: Spool, database: Database, *, every: bool) -> Finding:
    dice = random.Random()  # noqa: S311 — to look at others each time, not for secrets
    with database.read() as connection:
        rows = health.sample(connection, None if every else _SAMPLE, dice)
    altered = sum(not _is_sound(spool, row) for row in rows)
    which = "all" if every else "by chance"
    if altered:
        text = f"{altered} of {len(rows)} instances ({which}) are not what was received"
        step = (
            "check the disk; `doctor --all` counts them; `studies discard` what is concerned, and "
            "have it sent again"
        )
        return fail("stored instances", text, step)
    return ok("stored instances", f"{len(rows)} ({which}) are byte for byte what was received")


def _is_sound(spool: Spool, row: RowMapping) -> bool:
    """A file that is gone was counted elsewhere."""
    try:
        with spool.instance_path(row["file"]).open("rb") as file:
            file.seek(data_begins(file.read(_HEAD)))
            return hashlib.file_digest(file, "sha256").hexdigest() == str(row["sha256"])
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _unsent(spool: Spool, database: Database) -> Finding:
    with database.read() as connection:
        rows: Sequence[RowMapping] = health.unsent(connection)
    wrong = {
        row["key"]
        for row in rows
        if not verified(spool.outbox_path(row["key"]) / row["file"], row["sha256"])
    }
    with database.read() as connection:  # what was delivered and purged meanwhile is no matter
        wrong &= {row["key"] for row in health.unsent(connection)}
    if wrong:
        return fail(
            "unsent results",
            f"the files of {len(wrong)} jobs are gone, or not what was made",
            "nothing of them is sent: `jobs list`, then `jobs cancel` them and `studies judge` "
            "their studies",
        )
    return ok("unsent results", f"{len(rows)} objects are what was made")


def _orphans(spool: Spool, database: Database) -> Finding:
    folders = [path for path in spool.outbox.glob("??/*") if path.is_dir()]
    with database.read() as connection:
        known = health.keys(connection)
    orphans = [path for path in folders if path.name not in known]
    if orphans:
        return warn(
            "outbox",
            f"{len(orphans)} folders of {len(folders)} belong to no job, such as {orphans[0]}",
            "after a restore or a rebuild, leave them: when their study is judged, if need be by "
            "`studies judge`, they are sent under the same UIDs",
        )
    return ok("outbox", f"{len(folders)} folders, each of a job")
