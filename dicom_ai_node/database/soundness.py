"""Is the database's file whole? Asked at every start, and once a week of a copy (P14)."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from dicom_ai_node.database.engine import BUSY_TIMEOUT_S, sidecars
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

START_S = 30.0  # some gigabytes; what is larger is looked through by the weekly check alone
WEEK_S = 7 * 86_400
_STEPS = 100_000  # of SQLite's machine, between two looks at the clock
_WAY_ON = (
    "restore a backup (`dicom-ai-node restore`), or have it made anew from the spool "
    "(`dicom-ai-node db rebuild`)"
)


def require_there(path: Path, *, has_files: bool) -> None:
    """No empty database takes the place of one that is gone: `has_files` says that the spool has
    what a database would know of."""
    if has_files and not (path.exists() and path.stat().st_size):
        raise ConfigError(
            f"the database {path} is gone or empty, and the spool holds studies: {_WAY_ON}"
        )


def require_sound(path: Path, *, limit_s: float = START_S) -> None:
    """Raises ConfigError for a damaged file. Who locks it, or is too large, is not waited for."""
    try:
        found = _check(path, "quick_check", limit_s)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname not in ("SQLITE_INTERRUPT", "SQLITE_BUSY"):
            raise _damaged(path, str(error)) from None
        log.warning("database_check_unfinished", why=error.sqlite_errorname)
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from None
    else:
        if found:
            raise _damaged(path, found)


def _damaged(path: Path, found: str) -> ConfigError:
    return ConfigError(f"the database {path} is damaged ({found}): {_WAY_ON}")


def what_is_wrong(path: Path) -> str:
    """The whole integrity check; "" where all is well."""
    try:
        return _check(path, "integrity_check", float("inf"))
    except sqlite3.DatabaseError as error:
        return str(error)


def check_weekly(path: Path, folder: Path, marker: Path, *, now: float) -> str | None:
    """Check a copy, which locks nobody out for longer than the copying takes. None: not due yet.

    `folder` takes the copy; `marker` is a file whose time is that of the last good check. What is
    damaged is said again at each call.
    """
    if marker.exists() and 0 <= now - marker.stat().st_mtime < WEEK_S:
        return None
    checked = folder / "database-check.db"
    _remove(checked)  # of a process that was killed
    try:
        copy(path, checked)
        found = what_is_wrong(checked)
    except sqlite3.DatabaseError as error:
        found = str(error)
    finally:
        _remove(checked)
    if found:
        log.error("database_damaged", found=found)
        damage_file(marker).write_text(found)
    else:
        damage_file(marker).unlink(missing_ok=True)
        marker.touch(mode=0o600)
        log.info("database_checked")
    return found


def damage_file(marker: Path) -> Path:
    """Beside the marker, until a check finds nothing wrong: what the last one found."""
    return marker.with_name("database-damaged")


def copy(source: Path, target: Path) -> None:
    """As it is at one moment, while others use it; writers wait until it is done.

    Raises sqlite3.DatabaseError; the copy is synced, its folder is not.
    """
    with closing(_open(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)
        theirs.execute("PRAGMA journal_mode = DELETE")  # one file, whatever the source has


def _remove(path: Path) -> None:
    for each in (path, *sidecars(path)):
        each.unlink(missing_ok=True)


def _check(path: Path, pragma: str, limit_s: float) -> str:
    deadline = time.monotonic() + limit_s
    with closing(_open(path)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        (found,) = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
    return "" if found == "ok" else str(found).splitlines()[0]


def _open(path: Path) -> sqlite3.Connection:
    """To write as well: a journal that a killed process left is played back. Never a new one."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S)
