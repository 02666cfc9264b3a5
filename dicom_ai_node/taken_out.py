"""Files whose rows are about to go: listed beforehand, so that what a killed process has left of
them is never taken for instances that came."""

import json
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from dicom_ai_node.database import arrivals, erased, lost
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool, durable_write, remove_folder

_PART = "taken-out-"


def note(
    spool: Spool,
    files: Sequence[str],
    *,
    conflict: Sequence[str] = (),
    outbox: Sequence[str] = (),
    of_study: tuple[str, float] | None = None,
) -> Path:
    """Durably, in the transaction that takes their rows out; whose list that is.

    `conflict` are names of files that were set aside, `outbox` keys of jobs, `of_study` says which
    study is deleted by it, as a hash, and when: files that were set aside have no rows by which it
    could be seen that it was committed.
    """
    name = uuid.uuid4().hex
    target = _folder(spool) / name
    content = {
        "files": list(files),
        "conflict": list(conflict),
        "outbox": list(outbox),
        "erased": of_study,
    }
    durable_write(target, [json.dumps(content).encode()], spool.incoming / f"{_PART}{name}")
    return target


def remove(
    spool: Spool,
    files: Sequence[str],
    noted: Path,
    *,
    conflict: Sequence[str] = (),
    outbox: Sequence[str] = (),
) -> None:
    """After the commit."""
    _remove(spool, files, conflict, outbox)
    noted.unlink(missing_ok=True)


def finish(spool: Spool, database: Database) -> int:
    """Remove what killed processes have noted and not removed; what has its row still, stays.

    How many files those were. In a transaction: nobody else has noted what is not committed. What
    is being removed at this moment, may be gone before it is looked at.
    """
    removed = 0
    with database.write() as connection:
        spool.sweep_incoming(f"{_PART}*")
        noted = sorted(_folder(spool).glob("*"))
        known = arrivals.files(connection) if noted else set()
        for path in noted:
            with suppress(FileNotFoundError):
                listed = _read(path)
                files = set(listed["files"]) - known
                # of a deletion that was not committed, all stays
                conflict = listed["conflict"] if _is_committed(connection, listed) else ()
                outbox = lost.unknown_keys(connection, listed["outbox"])
                removed += _remove(spool, sorted(files), conflict, outbox)
            path.unlink(missing_ok=True)
    return removed


def _is_committed(connection: Connection, listed: dict[str, Any]) -> bool:
    """The study may have been deleted before, and have come again."""
    if listed.get("erased") is None:
        return False
    digest, noted_at = listed["erased"]
    at = erased.erased_at(connection, digest)
    return at is not None and at >= noted_at


def _remove(
    spool: Spool, files: Sequence[str], conflict: Sequence[str], outbox: Sequence[str]
) -> int:
    """How many instance files there still were."""
    removed = 0
    for file in files:
        left = spool.instance_path(file)
        removed += left.is_file()
        left.unlink(missing_ok=True)
    for name in conflict:
        spool.conflict_path(name).unlink(missing_ok=True)
    for key in outbox:
        remove_folder(spool.outbox_path(key))
    return removed


def _read(path: Path) -> dict[str, Any]:
    """Earlier versions listed instance files alone."""
    listed = json.loads(path.read_bytes())
    files_alone = {"files": listed, "conflict": [], "outbox": []}
    return files_alone if isinstance(listed, list) else dict(listed)


def _folder(spool: Spool) -> Path:
    return spool.root / "taken-out"
