"""The schema's version: made on first use, upgraded on request, never guessed."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DatabaseError

from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> str:
    """Bring the schema to this program's version, in one transaction; returns the version."""
    with database.write() as connection:
        config = _alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head()


def require_current(database: Database) -> None:
    """An empty database is set up; an older or newer one is refused, not touched."""
    found = current(database)
    if found is None:
        upgrade(database)
    elif found not in _known():
        raise ConfigError(
            f"{database.path} has schema {found}, which this program does not know: "
            "it was written by a newer one; install that, or restore a backup"
        )
    elif found != head():
        raise ConfigError(
            f"{database.path} has schema {found} and this program needs {head()}: "
            "back it up, then run `dicom-ai-node db upgrade`"
        )


def current(database: Database) -> str | None:
    """Raises ConfigError for a file that is no database, or one that cannot be opened."""
    try:
        with database.read() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DatabaseError as error:
        raise ConfigError(
            f"{database.path} cannot be read as a database ({error.orig}): "
            "restore a backup, or check who may write there"
        ) from None


def head() -> str:
    revision = ScriptDirectory.from_config(_alembic()).get_current_head()
    assert revision is not None  # noqa: S101 — the package ships at least one migration
    return revision


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
