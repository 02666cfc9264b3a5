"""What persons decided about studies, holds and deletions, in files beside the database: when that
is lost, what was held would be purged, and what was deleted fetched again.

At every start, what either knows, both know. So a hold is written down before its row is committed,
and crossed out after: whatever is killed in between, the study is held. A deletion is written down
after the commit, for it has images removed.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dicom_ai_node.database import erased, holds, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.spool import Spool, durable_write, sync_folder

log = get_logger(__name__)

_T = TypeVar("_T")

_PART = "decision-"


class _Hold(NamedTuple):
    study: str  # Study Instance UID
    at: float
    by: str
    why: str


def hold(spool: Spool, database: Database, study_instance_uid: str, *, by: str, why: str) -> bool:
    """False where there is no such study; another hold on it is replaced."""
    with database.write() as connection:
        now = database.now()
        is_held = holds.hold(connection, study_instance_uid, by=by, why=why, now=now)
        if is_held:
            _write_hold(spool, _Hold(study=study_instance_uid, at=now, by=by, why=why))
    return is_held


def release(spool: Spool, database: Database, study_instance_uid: str) -> bool:
    """False where nobody holds it."""
    with database.write() as connection:
        is_released = holds.release(connection, study_instance_uid)
    if is_released:
        forget_hold(spool, database, study_instance_uid)
    return is_released


def forget_hold(spool: Spool, database: Database, study_instance_uid: str) -> None:
    """Unless somebody else has just put another one."""
    with database.write() as connection:
        row = studies.find(connection, study_instance_uid)
        path = _hold_path(spool, study_instance_uid)
        if (row is None or row["held_at"] is None) and path.exists():
            path.unlink()
            sync_folder(path.parent)


def note_deleted(spool: Spool, database: Database, deleted: Mapping[str, float]) -> None:
    """Hashes of a study and of its jobs, and when."""
    with database.write():  # nobody sweeps meanwhile
        _write(spool, _deletions(spool) / uuid.uuid4().hex, deleted)


def bring_back_deletions(spool: Spool, database: Database) -> None:
    """Before files without a row are adopted."""
    with database.write() as connection:
        spool.sweep_incoming(f"{_PART}*")
        noted: dict[str, float] = {}
        for deleted in _every(_deletions(spool), _deleted_of):
            for digest, at in deleted.items():
                noted[digest] = max(at, noted.get(digest, at))
        known = erased.every(connection)
        if lost := _newer(noted, known):
            erased.add(connection, lost)
            log.warning("deletions_brought_back", number=len(lost))
        if unwritten := _newer(known, noted):
            _write(spool, _deletions(spool) / uuid.uuid4().hex, unwritten)


def bring_back_holds(spool: Spool, database: Database) -> None:
    """When every file has its row."""
    with database.write() as connection:
        noted = {each.study: each for each in _every(_holds(spool), _hold_of)}
        known = {row["study_instance_uid"]: row for row in holds.every(connection)}
        for uid in noted.keys() - known.keys():
            said = noted[uid]
            is_here = holds.hold(connection, uid, by=said.by, why=said.why, now=said.at)
            event = "hold_brought_back" if is_here else "held_study_is_not_here"
            log.warning(event, study=pseudonym(uid))
        for uid in known.keys() - noted.keys():
            row = known[uid]
            at, by, why = (row[f"held_{each}"] for each in ("at", "by", "why"))
            _write_hold(spool, _Hold(study=uid, at=at, by=by, why=why))


def _newer(some: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    return {digest: at for digest, at in some.items() if at > others.get(digest, float("-inf"))}


def _write_hold(spool: Spool, held: _Hold) -> None:
    _write(spool, _hold_path(spool, held.study), held._asdict())


def _write(spool: Spool, target: Path, content: Mapping[str, object]) -> None:
    part = spool.incoming / f"{_PART}{uuid.uuid4().hex}"
    durable_write(target, [json.dumps(content).encode()], part)


def _every(folder: Path, read: Callable[[Any], _T]) -> Iterator[_T]:
    """What cannot be read keeps no node from starting."""
    for path in sorted(folder.glob("*")):
        try:
            found = read(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            log.exception("decision_unreadable", file=f"{folder.name}/{path.name}")
            continue
        yield found


def _hold_of(content: Any) -> _Hold:
    study, by, why = (str(content[key]) for key in ("study", "by", "why"))
    return _Hold(study=study, at=float(content["at"]), by=by, why=why)


def _deleted_of(content: Any) -> dict[str, float]:
    return {str(digest): float(at) for digest, at in content.items()}


def _hold_path(spool: Spool, study_instance_uid: str) -> Path:
    return _holds(spool) / sha256(study_instance_uid.encode()).hexdigest()


def _holds(spool: Spool) -> Path:
    return spool.root / "decisions" / "holds"


def _deletions(spool: Spool) -> Path:
    return spool.root / "decisions" / "deletions"
