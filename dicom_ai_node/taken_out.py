"""Files whose rows are about to go: listed beforehand, so that what a killed process has left of
them is never taken for instances that came."""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

from dicom_ai_node.database import arrivals
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool, durable_write

_PART = "taken-out-"


def note(spool: Spool, files: Sequence[str]) -> Path:
    """Durably, in the transaction that takes their rows out; whose list that is."""
    name = uuid.uuid4().hex
    target = _folder(spool) / name
    durable_write(target, [json.dumps(list(files)).encode()], spool.incoming / f"{_PART}{name}")
    return target


def remove(spool: Spool, files: Sequence[str], noted: Path) -> None:
    """After the commit."""
    for file in files:
        spool.instance_path(file).unlink(missing_ok=True)
    noted.unlink(missing_ok=True)


def finish(spool: Spool, database: Database) -> int:
    """Remove what killed processes have noted and not removed; what has its row still, stays.

    How many files those were. In a transaction: nobody else has noted what is not committed.
    """
    removed = 0
    with database.write() as connection:
        spool.sweep_incoming(f"{_PART}*")
        noted = sorted(_folder(spool).glob("*"))
        known = arrivals.files(connection) if noted else set()
        for path in noted:
            for file in set(json.loads(path.read_bytes())) - known:
                left = spool.instance_path(file)
                removed += left.is_file()
                left.unlink(missing_ok=True)
            path.unlink()
    return removed


def _folder(spool: Spool) -> Path:
    return spool.root / "taken-out"
