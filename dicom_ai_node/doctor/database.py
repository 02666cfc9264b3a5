"""The database: its file, its schema, its books, its clock."""

import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from dicom_ai_node.database import health, schema, tallies
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database, journal_mode
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn
from dicom_ai_node.errors import ConfigError, NodeError

_RESTORE = "stop the node, keep a copy of the file, and restore a backup"
_CLOCK_S = 60.0


def examine(database: Database, *, thorough: bool) -> Iterator[Finding]:
    yield _sqlite()
    yield _file(database, thorough=thorough)


def examine_rows(database: Database) -> Iterator[Finding]:
    """Where the file is whole and has this program's schema."""
    yield _tallies(database)
    yield _balance(database)
    yield _clock(database)


def is_usable(database: Database) -> bool:
    try:
        return schema.current(database) == schema.head()
    except NodeError:
        return False


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    if journal_mode() == "WAL":
        return ok("sqlite", f"SQLite {version}, with WAL")
    return ok(
        "sqlite",
        f"SQLite {version}, whose WAL may corrupt the file: a rollback journal is used instead",
    )


def _file(database: Database, *, thorough: bool) -> Finding:
    check = "database"
    try:
        found, expected = schema.current(database), schema.head()
        if found is None:
            return warn(check, f"{database.path} is empty", "start the node: it makes the tables")
        with database.read() as connection:
            damage = health.damage(connection, thorough=thorough)
            mode = health.journal_mode(connection)
    except (ConfigError, SQLAlchemyError):
        return fail(check, f"{database.path} cannot be read as a database", _RESTORE)
    except NodeError:
        return fail(check, f"{database.path} cannot be read now", "see who locks it, and its disk")
    if damage:
        return fail(check, f"{database.path} is damaged: {'; '.join(damage)}", _RESTORE)
    if found not in schema.known():
        return fail(check, f"it has schema {found}, of a newer program", "install that program")
    if found != expected:
        step = "back it up, then run `dicom-ai-node db upgrade`"
        return fail(check, f"it has schema {found}, and this program needs {expected}", step)
    return ok(check, f"whole, schema {found}, journal mode {mode}")


def _tallies(database: Database) -> Finding:
    with database.write() as connection:  # nobody changes rows between the two
        wrong = tallies.differences(connection)
    if not wrong:
        return ok("tallies", "the books are what the rows say")
    said = "; ".join(
        f"{each.book} {each.state}: {each.tally} in the books, {each.counted} counted"
        for each in wrong[:5]
    )
    step = "`dicom-ai-node doctor --correct` writes down what was counted; report this as a bug"
    return fail("tallies", said, step)


def _balance(database: Database) -> Finding:
    with database.read() as connection:
        found = books(connection)
    if found.balanced:
        return ok("balance", f"{found.instances} instances stored, {found.deleted} deleted since")
    received = ", ".join(f"{number} {how}" for how, number in found.received.items())
    return fail(
        "balance",
        f"received: {received}; stored: {found.instances}, deleted since: {found.deleted}",
        "somebody changed rows by hand, or a backup was restored: compare with the PACS, then "
        "`dicom-ai-node doctor --correct`",
    )


def _clock(database: Database) -> Finding:
    with database.read() as connection:
        ahead = health.latest_moment(connection) - database.now()
    if ahead > _CLOCK_S:
        return fail(
            "clock",
            f"rows are {ahead:.0f} s ahead of this machine's clock: it was set back",
            "set the clock right, and have it kept so (chrony, systemd-timesyncd): until then, "
            "retries and retention wait",
        )
    return ok("clock", "no row is ahead of it")
