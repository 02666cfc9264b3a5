"""The schema is made once, and a strange one is not touched."""

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from dicom_ai_node.database import deliveries, engine, jobs, ladders, schema, studies
from dicom_ai_node.database.engine import Database, journal_mode
from dicom_ai_node.database.tables import metadata
from dicom_ai_node.doctor import database as examined
from dicom_ai_node.errors import ConfigError, NodeError
from dicom_ai_node.job import DeliveryState, JobState, Priority


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/new/node.db"


def open_database(where: str) -> None:
    """What every role does first."""
    database = Database(where)
    schema.require_current(database)
    database.close()


def test_a_new_database_gets_every_table_and_column(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    schema.require_current(database)
    with database.read() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            columns = {column["name"] for column in found.get_columns(table.name)}
            assert columns == set(table.columns.keys())
            indexes = {index["name"] for index in found.get_indexes(table.name)}
            assert {str(index.name) for index in table.indexes} <= indexes
    assert schema.current(database) == schema.head()
    database.close()


def test_two_processes_at_once_make_one_schema(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    roles = [spawn.Process(target=open_database, args=(url(tmp_path),)) for _ in range(2)]
    for role in roles:
        role.start()
    for role in roles:
        role.join()
    assert [role.exitcode for role in roles] == [0, 0]


def test_the_schema_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    schema.upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="schema 9999, which this program does not know"):
        schema.require_current(database)
    assert schema.current(database) == "9999"
    database.close()


def test_a_database_that_is_locked_for_long_is_no_mistake_of_the_configuration(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends with a ConfigError is not started again by the supervisor."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0)
    hurried = Database(str(database.url))
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(NodeError, match=r"cannot be read now \(database is locked\)") as caught:
            schema.require_current(hurried)
        assert caught.value.exit_status == NodeError.exit_status
        assert not examined.is_usable(hurried)
        said = [each.text for each in examined.examine(hurried, thorough=False)]
        assert any("cannot be read now" in each for each in said)
    schema.require_current(hurried)
    hurried.close()


def test_what_is_no_database_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "node.db").write_bytes(b"no database" * 1000)
    other = Database(f"sqlite:///{tmp_path}/node.db")
    with pytest.raises(ConfigError, match="cannot be read as a database"):
        schema.require_current(other)
    other.close()
    folder = Database(f"sqlite:///{tmp_path}")
    with pytest.raises(ConfigError, match="check who may write there"):
        schema.require_current(folder)
    folder.close()


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    assert schema.upgrade(database) == schema.head()


@pytest.mark.parametrize("where", ["node.db", "postgresql://h/d", "sqlite://", "sqlite:///"])
def test_only_a_sqlite_file_is_a_database(where: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///\./var/node\.db"):
        Database(where)


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "DELETE"),
        ((3, 44, 6), "WAL"),
        ((3, 50, 4), "DELETE"),
        ((3, 50, 7), "WAL"),
        ((3, 51, 2), "DELETE"),
        ((3, 51, 3), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
)
def test_wal_is_used_where_its_race_is_fixed(version: tuple[int, int, int], mode: str) -> None:
    assert journal_mode(version) == mode


def test_what_fails_in_a_transaction_is_not_there(database: Database) -> None:
    def insert_and_fail() -> None:
        with database.write() as connection:
            connection.execute(text("INSERT INTO alembic_version VALUES ('x')"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    assert schema.current(database) == schema.head()


def test_foreign_keys_are_enforced(database: Database) -> None:
    with database.read() as connection:
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1


def test_the_migrations_are_numbered_in_their_order() -> None:
    """`known()` reads their names; alembic follows what stands in them."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert [each.revision for each in script.walk_revisions()][::-1] == schema.known()
    assert script.get_current_head() == schema.head()


def test_what_is_made_at_once_is_what_the_migrations_make(tmp_path: Path) -> None:
    """Table by table, in SQLite's own words."""
    made, migrated = Database(f"sqlite:///{tmp_path}/a.db"), Database(f"sqlite:///{tmp_path}/b.db")
    schema.require_current(made)
    assert schema.upgrade(migrated) == schema.current(made)
    assert described(made) == described(migrated)


def described(database: Database) -> dict[str, object]:
    """Columns, indexes and keys of each table, but for those of alembic's own."""
    with database.read() as connection:
        found = inspect(connection)
        return {
            table: (
                {
                    each["name"]: (str(each["type"]), each["nullable"])
                    for each in found.get_columns(table)
                },
                sorted(_index(each) for each in found.get_indexes(table)),
                sorted(str(each) for each in found.get_unique_constraints(table)),
                sorted(str(each) for each in found.get_foreign_keys(table)),
            )
            for table in found.get_table_names()
            if table != "alembic_version"
        }


def _index(index: ReflectedIndex) -> str:
    where = index.get("dialect_options", {}).get("sqlite_where")
    return str({**index, "dialect_options": str(where)})


def shape(database: Database) -> dict[str, object]:
    """Columns, indexes and keys of each table, as the file has them."""
    with database.read() as connection:
        found = inspect(connection)
        return {
            table: (
                {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)},
                {(i["name"], *i["column_names"]) for i in found.get_indexes(table)},
                {(u["name"], *u["column_names"]) for u in found.get_unique_constraints(table)},
                {(f["name"], *f["constrained_columns"]) for f in found.get_foreign_keys(table)},
            )
            for table in found.get_table_names()
        }


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    migrated, made = (Database(f"sqlite:///{tmp_path}/{name}.db") for name in ("a", "b"))
    schema.upgrade(migrated)
    schema.require_current(made)
    assert shape(migrated) == shape(made)
    for database in (migrated, made):
        database.close()


def test_jobs_of_the_schema_before_named_inputs_keep_what_they_say(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/node.db")
    schema.upgrade(database, "0002")
    with database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO study (id, study_instance_uid, state, calling_ae_title, "
                "called_ae_title, patient_digest, first_received_at, last_received_at, routed_at) "
                "VALUES (1, '1.2', 'routed', 'PACS', 'AI_NODE', 'p', 5, 6, 7)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO job (id, key, study_id, study_instance_uid, series_instance_uid, "
                "model, version, send_to, inputs, state, priority, attempts, run_after, "
                "created_at, timings) VALUES (1, 'k', 1, '1.2', '1.2.3', 'bright', '1.0', "
                """'["pacs"]', '["1.2.3.1", "1.2.3.2"]', 'queued', 100, 0, 10, 10, '{}')"""
            )
        )
    schema.upgrade(database)
    with database.read() as connection:
        (job,) = jobs.listing(connection)
        row = studies.find(connection, "1.2")
    assert job.inputs == {"image": ("1.2.3.1", "1.2.3.2")}
    assert (job.subject, job.priority, job.uses) == ("1.2.3", Priority.ROUTINE, {})
    assert row is not None
    assert row["revision"] == 1
    database.close()


def test_deliveries_of_the_schema_before_ladders_are_sent_as_they_were(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/node.db")
    schema.upgrade(database, "0004")
    with database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO study (id, study_instance_uid, state, calling_ae_title, "
                "called_ae_title, patient_digest, first_received_at, last_received_at) "
                "VALUES (1, '1.2', 'routed', 'PACS', 'AI_NODE', 'p', 5, 6)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO job (id, key, study_id, study_instance_uid, series_instance_uid, "
                "model, version, subject, send_to, inputs, state, priority, rank, attempts, "
                "run_after, created_at, timings) VALUES (1, 'k', 1, '1.2', '1.2.3', 'bright', "
                """'1.0', '1.2.3', '["pacs"]', '{}', 'ready', 'routine', 0, 1, 10, 10, '{}')"""
            )
        )
        connection.execute(
            text(
                "INSERT INTO delivery (job_id, peer, kind, sop_instance_uid, file, state, tries, "
                "next_try_at, created_at) VALUES "
                "(1, 'pacs', 'seg', '2.25.1', '1-seg.dcm', 'stored', 1, 10, 10), "
                "(1, 'pacs', 'sr', '2.25.2', '2-sr.dcm', 'pending', 3, 10, 10)"
            )
        )
    schema.upgrade(database)
    with database.write() as connection:
        ((row, key),) = deliveries.due(connection, "pacs", now=20)
        assert (row.kind, row.rungs, row.tries, key) == ("sr", (), 3, "k")
        assert not ladders.has_lower(connection, 1, "pacs")
        state = DeliveryState.STORED
        deliveries.record(connection, row, state, status="0000", next_try_at=20, now=20)
        (job,) = jobs.listing(connection)
    assert job.state is JobState.DONE
    database.close()
