"""The node's command line without what durable reception costs: never for patients.

python -m benchmarks.ingest_variant [--no-sync] [--no-sha256] receive --config DIR
"""

import hashlib
import os
import sqlite3
import sys
from functools import partial
from typing import Any

DIGEST_BEGINS = "0" * 48  # of every stand-in's hexdigest: a length of data needs no more


class _Length:
    """Takes what hashlib.sha256 takes, and only counts it."""

    name, digest_size, block_size = "sha256", 32, 64

    def __init__(self, data: Any = b"", *, usedforsecurity: bool = True) -> None:  # noqa: ARG002
        self._length = memoryview(data).nbytes

    def update(self, data: Any) -> None:
        self._length += memoryview(data).nbytes

    def digest(self) -> bytes:
        return self._length.to_bytes(self.digest_size, "big")

    def hexdigest(self) -> str:
        return self.digest().hex()

    def copy(self) -> "_Length":
        other = _Length()
        other._length = self._length
        return other


class _UnsyncedConnection(sqlite3.Connection):
    """SQLite syncs in C, out of reach of `os`: it is told not to, and never told otherwise."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA synchronous = OFF")
        self.set_authorizer(_ignore_synchronous)


def _ignore_synchronous(action: int, name: str | None, value: str | None, *_: Any) -> int:
    if action == sqlite3.SQLITE_PRAGMA and name == "synchronous" and value is not None:
        return sqlite3.SQLITE_IGNORE
    return sqlite3.SQLITE_OK


def _without_sync() -> None:
    for name in ("fsync", "fdatasync", "sync"):
        setattr(os, name, lambda *_: None)
    for flag in ("O_SYNC", "O_DSYNC", "RWF_SYNC", "RWF_DSYNC"):
        setattr(os, flag, 0)
    connect = partial(sqlite3.connect, factory=_UnsyncedConnection)
    sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[assignment]


def _without_sha256() -> None:
    hashlib.sha256 = _Length  # type: ignore[assignment]


def main() -> None:
    changes = {"--no-sync": _without_sync, "--no-sha256": _without_sha256}
    while sys.argv[1] in changes:
        changes[sys.argv.pop(1)]()
    from dicom_ai_node.cli.app import main as node  # binds what was replaced above

    node()


if __name__ == "__main__":
    main()
