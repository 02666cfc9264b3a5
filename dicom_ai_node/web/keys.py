"""Files of the page in the spool: the key that signs sessions, and the first token."""

import os
import secrets
from pathlib import Path

from dicom_ai_node.database import tokens
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.roles import Role
from dicom_ai_node.secret import read_secret
from dicom_ai_node.spool import WEB_KEY, Spool, durable_write

FIRST = "first"
_KEY_BYTES = 32


def session_key(spool: Spool) -> bytes:
    """Made once, so that a restart signs nobody out. ConfigError where others may read it."""
    path = spool.root / WEB_KEY
    if not path.exists():
        _write(spool, path, secrets.token_hex(_KEY_BYTES).encode())
    key = read_secret("node.spool", path)
    if len(key) < 2 * _KEY_BYTES:
        raise ConfigError(f"{path} is no key: remove it, and a new one is made")
    return key


def first_token(spool: Spool, database: Database) -> Path | None:
    """Where the token lies that is made where there was never one; None where there was."""
    path = spool.root / "web-token"
    with database.write() as connection:
        if tokens.is_any(connection):
            return None
        made = tokens.make(connection, FIRST, Role.CONFIGURE, now=database.now())
        path.unlink(missing_ok=True)
        _write(spool, path, f"{made}\n".encode())  # before the commit: it can be made again
    return path


def _write(spool: Spool, path: Path, content: bytes) -> None:
    durable_write(path, [content], spool.incoming / f"{path.name}.{os.getpid()}.part")
