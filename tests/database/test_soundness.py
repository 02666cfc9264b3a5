"""A damaged, cut or missing database is found, told with the way on, and never replaced."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.cli.node import open_node
from dicom_ai_node.database import schema, soundness
from dicom_ai_node.database.claim import claimed
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import AlreadyRunning, ConfigError
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.rescan import Found, rescan
from dicom_ai_node.spool import Spool
from tests.database.made import NOW, a_study, enqueued
from tests.receive.scu import slices, store
from tests.retraction.site import write_config

WAY_ON = "dicom-ai-node db rebuild"


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Path:
    """A configured node that has received a study, with rows enough to fill some pages."""
    config = write_config(tmp_path, 1)
    database = Database(config.node.database)
    shutil.copy(empty_database, database.path)
    spool = Spool(config.node.spool)
    for ds in slices(3):
        assert store(spool, database, ds) == Answer(Status.SUCCESS)
    with database.write() as connection:
        for number in range(200):
            a_study(connection, f"1.2.{number}")
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM instance WHERE study_id > 1")
    database.close()
    return tmp_path


def damaged(path: Path) -> None:
    """Pages in the middle hold something else."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = b"\xa5" * 8192
    path.write_bytes(content)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def no_database(path: Path) -> None:
    path.write_bytes(b"What a pity. " * 1000)


@pytest.mark.fault("G9")
@pytest.mark.parametrize("harm", [damaged, cut, no_database])
def test_a_damaged_database_is_told_with_the_way_on(
    home: Path, harm: Callable[[Path], None]
) -> None:
    """And left as it is; `db rebuild` takes in what the spool holds."""
    database = home / "node.db"
    soundness.require_sound(database)
    harm(database)
    content = database.read_bytes()
    with pytest.raises(ConfigError, match=WAY_ON):
        soundness.require_sound(database)
    assert database.read_bytes() == content
    say(home, "db", "rebuild", expected="3 instances adopted")
    (aside,) = home.glob("node.db.replaced-*")
    assert aside.read_bytes() == content
    soundness.require_sound(database)
    node = open_node(home / "config")
    assert rescan(node.spool, node.database) == Found()
    node.database.close()


@pytest.mark.fault("G9")
@pytest.mark.parametrize("how", ["gone", "empty"])
def test_no_empty_database_takes_the_place_of_one_that_is_gone(home: Path, how: str) -> None:
    database = home / "node.db"
    database.unlink()
    if how == "empty":
        database.touch()
    for verb in (["status"], ["rescan"], ["jobs", "list"]):
        assert WAY_ON in say(home, *verb, status=ConfigError.exit_status)
    assert not database.exists() or database.stat().st_size == 0
    say(home, "db", "rebuild", expected="3 instances adopted")
    say(home, "status", expected="instances")


@pytest.mark.fault("G9")
def test_a_database_without_its_wal_is_an_older_one(home: Path) -> None:
    """What was committed there is taken in again; a file that does not hold together is refused."""
    path = home / "node.db"
    whole = sqlite3.connect(path, isolation_level=None)
    whole.execute("PRAGMA journal_mode = WAL")
    whole.execute("PRAGMA wal_autocheckpoint = 0")
    whole.execute("DELETE FROM instance")  # and a commit that the file itself knows nothing of
    copied = home / "copied.db"
    shutil.copy(path, copied)  # without -wal
    whole.close()
    copied.replace(path)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    soundness.require_sound(path)
    node = open_node(home / "config")
    assert rescan(node.spool, node.database) == Found()
    node.database.close()


def test_what_cannot_be_looked_through_in_time_is_left_to_the_weekly_check(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "_STEPS", 10)  # a small file has no 100 000
    with capture_logs() as logs:
        soundness.require_sound(home / "node.db", limit_s=0)
    assert [each["event"] for each in logs] == ["database_check_unfinished"]


def test_the_weekly_check_reads_a_copy_and_says_what_it_finds_until_it_is_mended(
    home: Path,
) -> None:
    path, marker = home / "node.db", home / "checked"

    def check(now: float) -> str | None:
        return soundness.check_weekly(path, home, marker, now=now)

    assert check(NOW) == ""
    checked_at = marker.stat().st_mtime
    assert check(checked_at + soundness.WEEK_S - 1) is None
    good = path.read_bytes()
    damaged(path)
    for later in (1, 3601):
        with capture_logs() as logs:
            assert check(checked_at + soundness.WEEK_S + later)
        assert [each["event"] for each in logs] == ["database_damaged"]
    path.write_bytes(good)
    assert check(checked_at + soundness.WEEK_S + 7201) == ""
    assert not list(home.glob("database-check*"))


@pytest.mark.fault("G12")
def test_a_database_belongs_to_one_spool_at_a_time(tmp_path: Path) -> None:
    """The roles of one node share it."""
    mine, other = Spool(tmp_path / "mine").root, Spool(tmp_path / "other").root
    (tmp_path / "link").symlink_to(mine)
    path = tmp_path / "node.db"
    with claimed(path, mine), claimed(path, tmp_path / "link"):
        found = claimed(path, other)
        with pytest.raises(AlreadyRunning, match="a node with another spool"), found:
            pass
    with claimed(path, other), pytest.raises(AlreadyRunning), claimed(path, mine):
        pass


@pytest.mark.fault("G9")
@pytest.mark.parametrize("version", schema.known()[:-1])
def test_an_older_schema_is_refused_and_upgraded_with_a_copy_kept(
    tmp_path: Path, version: str
) -> None:
    config = write_config(tmp_path, 1)
    database = Database(config.node.database)
    schema.upgrade(database, version)
    database.close()
    content = database.path.read_bytes()
    said = say(tmp_path, "status", status=ConfigError.exit_status)
    assert "dicom-ai-node db upgrade" in said
    assert database.path.read_bytes() == content
    say(tmp_path, "db", "upgrade", expected=f"schema {schema.head()}")
    kept = Database(f"sqlite:///{database.path}.schema-{version}")
    assert schema.current(kept) == version
    kept.close()
    say(tmp_path, "status", expected="instances")


def test_an_upgrade_waits_for_the_node_to_stand_still(home: Path) -> None:
    with Spool(home / "spool").lock("deliver"):
        said = say(home, "db", "upgrade", status=AlreadyRunning.exit_status)
    assert "deliver already runs" in said


def say(home: Path, *words: str, status: int = 0, expected: str = "") -> str:
    runner = CliRunner(env={"COLUMNS": "250"})
    done = runner.invoke(app, [*words, "--config", str(home / "config")])
    found = done.exception if isinstance(done.exception, (ConfigError, AlreadyRunning)) else None
    assert (found.exit_status if found else done.exit_code) == status, (done.output, done.exception)
    said = f"{done.output}{found or ''}"
    assert expected in said
    return said


def test_rows_are_there_after_a_copy(home: Path) -> None:
    """While a writer is at it: as the database was at one moment."""
    database = Database(f"sqlite:///{home}/node.db")
    with database.write() as connection:
        enqueued(connection)
    soundness.copy(database.path, home / "copy.db")
    with sqlite3.connect(home / "copy.db") as copied:
        assert copied.execute("SELECT count(*) FROM job").fetchone() == (1,)
    assert soundness.what_is_wrong(home / "copy.db") == ""
    database.close()
