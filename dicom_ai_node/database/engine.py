"""One database, two engines: a writing one that locks at BEGIN, a reading one that never does."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from dicom_ai_node.errors import ConfigError

BUSY_TIMEOUT_S = 15


class Database:
    """Transactions on the node's database; safe to share between threads, not over a fork."""

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
        except ArgumentError:
            raise ConfigError(
                "node.database is no database URL: write sqlite:///./var/node.db"
            ) from None
        if self.url.get_backend_name() != "sqlite" or not self.url.database:
            raise ConfigError("node.database must be a SQLite file: sqlite:///./var/node.db")
        self.path = Path(self.url.database)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"the folder of {self.path} cannot be made ({error.strerror}): check node.database"
            ) from None
        self._writer = self._engine()
        event.listen(self._writer, "begin", _begin_immediate)
        self._reader = self._engine()

    def _engine(self) -> Engine:
        engine = create_engine(self.url, connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(engine, "connect", _on_connect)
        return engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its first statement to the commit."""
        with self._writer.begin() as connection:
            yield connection

    @contextmanager
    def migrate(self) -> Iterator[Connection]:
        """As `write`, for migrations: they drop and rename whole tables that others refer to. What
        refers to nothing at the end undoes it all."""
        with self._writer.connect() as connection:
            raw = connection.connection.cursor()
            raw.execute("PRAGMA foreign_keys = OFF")  # in a transaction it would do nothing
            try:
                with connection.begin():
                    yield connection
                    if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                        raise ConfigError(
                            f"{self.path} has rows that refer to nothing, and was left as it was: "
                            "restore a backup, or run `dicom-ai-node db rebuild`"
                        )
            finally:
                raw.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Each statement sees what was committed when it began, and locks nobody out."""
        with self._reader.connect() as connection:
            yield connection

    def empty_log(self) -> bool:
        """After a deletion: SQLite's write-ahead log, where there is one, holds old pages until it
        is cut. False while somebody still reads from it; then it is overwritten later."""
        with self._reader.connect() as connection:
            (is_busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not is_busy

    def now(self) -> float:
        """The clock of leases and of everything stored (on SQLite that of the one machine)."""
        return time.time()

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()


def sidecars(path: Path) -> tuple[Path, ...]:
    """What SQLite may have beside a database; without them it is not what it was."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))


def journal_mode(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> str:
    """WAL, but only where SQLite's WAL-reset race is fixed: from 3.51.3, in 3.50.7 and 3.44.6."""
    fixed = version >= (3, 51, 3) or version in ((3, 50, 7), (3, 44, 6))
    return "WAL" if fixed else "DELETE"


def _on_connect(connection: Any, _record: Any) -> None:
    """PRAGMAs are per connection; isolation_level None leaves BEGIN to us."""
    connection.isolation_level = None
    mode = journal_mode()
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    cursor.execute(f"PRAGMA journal_mode = {mode}")
    # EXTRA syncs the directory after the journal is deleted: a commit survives a power cut
    cursor.execute(f"PRAGMA synchronous = {'FULL' if mode == 'WAL' else 'EXTRA'}")
    cursor.execute("PRAGMA foreign_keys = ON")
    # what is deleted is overwritten with zeros, in tables and in indexes: no VACUUM is needed
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """A deferred transaction that reads and then writes can fail halfway; this one waits first."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
