"""The schema's version: made on first use, upgraded on request, never guessed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, insert, inspect, select
from sqlalchemy.exc import DatabaseError

from dicom_ai_node.database import tallies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import metadata
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import ConfigError, NodeError

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

# Alembic is imported where a schema is changed: most processes never do, and it is 11 MB.
# alembic's own, in which it keeps where a database is
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")
_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database, version: str = "head") -> str:
    """Bring the schema to this program's version, in one transaction; returns the version.

    To an older version than the newest only where a test asks for it.
    """
    from alembic import command

    with database.migrate() as connection:
        config = _alembic()
        config.attributes["connection"] = connection
        tallies.drop(connection)
        command.upgrade(config, version)
        if version == "head":
            tallies.install(connection)
        reached(Step.SCHEMA_WRITTEN)
    return head() if version == "head" else version


def require_current(database: Database) -> None:
    """An empty database is set up; an older or newer one is refused, not touched."""
    found = current(database)
    if found is None:
        _create(database)
    elif found not in known():
        raise ConfigError(
            f"{database.path} has schema {found}, which this program does not know: "
            "it was written by a newer one; install that, or restore a backup"
        )
    elif found != head():
        raise ConfigError(
            f"{database.path} has schema {found} and this program needs {head()}: "
            "run `dicom-ai-node db upgrade`, which keeps a copy of it as it is"
        )


def _create(database: Database) -> None:
    """All that the migrations would make, in one transaction, unless another process was first."""
    with database.write() as connection:
        if inspect(connection).has_table(_VERSION.name):
            return
        metadata.create_all(connection)
        tallies.install(connection)
        _VERSION.create(connection)
        connection.execute(insert(_VERSION).values(version_num=head()))


def current(database: Database) -> str | None:
    """Raises ConfigError for a file that is no database, or that nobody lets us open; NodeError for
    what passes: it is locked for long, or its disk is full or fails."""
    try:
        with database.read() as connection:
            if not inspect(connection).has_table(_VERSION.name):
                return None
            return connection.execute(select(_VERSION.c.version_num)).scalar_one_or_none()
    except DatabaseError as error:
        if _passes(error.orig, database.path):
            raise NodeError(
                f"{database.path} cannot be read now ({error.orig}): what the service manager "
                "starts again is tried again; see who locks it, and whether its disk is well"
            ) from None
        raise ConfigError(
            f"{database.path} cannot be read as a database ({error.orig}): check who may write "
            "there; restore a backup (`dicom-ai-node restore`), or have it made anew from the "
            "spool (`dicom-ai-node db rebuild`)"
        ) from None


def _passes(error: object, path: Path) -> bool:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_CANTOPEN"):
        return path.is_file() and os.access(path, os.R_OK | os.W_OK)
    return name.startswith(_PASSING)


def head() -> str:
    return known()[-1]


def known() -> list[str]:
    """The versions that this program has had, oldest first: its migrations are numbered."""
    return sorted(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _alembic() -> "AlembicConfig":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
