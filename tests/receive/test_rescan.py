"""Disk and table reconciled after a crash."""

from pathlib import Path

import pytest
from pydicom.filereader import read_file_meta_info

from dicom_ai_node.database import arrivals, studies
from dicom_ai_node.database.arrivals import Arrival
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive import part10
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.rescan import Found, describe, rescan
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import LOST_INSTANCES
from tests.made import empty_place
from tests.receive.scu import slices, store


def receive(spool: Spool, database: Database, number: int = 1) -> list[dict[str, object]]:
    """Instances as reception stores them; their rows."""
    for ds in slices(number):
        assert store(spool, database, ds) == Answer(Status.SUCCESS)
    return rows(database)


def put(spool: Spool, content: bytes) -> Path:
    """A file that no receiver knows of."""
    path = spool.instance_path(empty_place(spool))
    path.write_bytes(content)
    return path


def rows(database: Database) -> list[dict[str, object]]:
    """Instances and their study, without what only says when and in which order."""
    with database.read() as connection:
        study = studies.find(connection, slices()[0].StudyInstanceUID)
        if study is None:
            return []
        shown = []
        for row in studies.instance_rows(connection, study["id"]):
            entry = {**study, **row}
            for column in (
                "id",
                "study_id",
                "received_at",
                "first_received_at",
                "last_received_at",
                "changed",
            ):
                del entry[column]
            shown.append(entry)
        return shown


def forget(database: Database) -> None:
    """As if the process had died between the file and the commit of its row."""
    with database.write() as connection:
        for table in ("instance", "study"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608


def test_nothing_is_done_where_all_is_well(spool: Spool, database: Database) -> None:
    before = receive(spool, database, 3)
    assert rescan(spool, database) == Found()
    assert rows(database) == before


def test_a_file_without_a_row_gets_the_row_it_would_have_had(
    spool: Spool, database: Database
) -> None:
    before = receive(spool, database, 3)
    forget(database)
    assert rescan(spool, database) == Found(adopted=3)
    assert rows(database) == before


def test_a_copy_of_a_known_instance_is_removed(spool: Spool, database: Database) -> None:
    before = receive(spool, database)
    (kept,) = spool.instance_files()
    put(spool, kept.read_bytes())
    assert rescan(spool, database) == Found(removed=1)
    assert (list(spool.instance_files()), rows(database)) == ([kept], before)


@pytest.mark.parametrize(
    "content",
    [b"\0", bytes(200), bytes(128) + b"DICM", bytes(128) + b"DICM\2\0\0\0UL\4\0\xff\0\0\0"],
)
def test_a_file_that_cannot_be_read_is_left_for_a_person(
    spool: Spool, database: Database, content: bytes
) -> None:
    put(spool, content)
    assert rescan(spool, database) == Found(unreadable=1)


def test_a_file_that_is_cut_off_is_left_for_a_person(spool: Spool, database: Database) -> None:
    receive(spool, database)
    (path,) = spool.instance_files()
    whole = path.read_bytes()
    forget(database)
    for cut in (1, 100, len(whole) - 200):
        path.unlink(missing_ok=True)
        path = put(spool, whole[:-cut])
        assert rescan(spool, database) == Found(unreadable=1)
    assert rows(database) == []


@pytest.mark.fault("G16")
@pytest.mark.parametrize("comes", ["sent again", "put back"])
def test_a_study_that_is_short_of_a_file_waits_for_it_and_goes_on(
    spool: Spool, database: Database, comes: str
) -> None:
    """The database is newer than the spool: nothing is made of a part of the study (P5)."""
    before = receive(spool, database, 2)
    path = spool.instance_path(str(before[0]["file"]))
    content = path.read_bytes()
    path.unlink()
    for _ in range(2):
        assert rescan(spool, database) == Found(lost=1)
    found = rows(database)
    assert [row["is_lost"] for row in found] == [True, False]
    assert {(row["state"], row["reason"]) for row in found} == {("needs_review", LOST_INSTANCES)}

    if comes == "put back":
        path.write_bytes(content)
        assert rescan(spool, database) == Found(adopted=1)
        assert rows(database) == before
    else:
        assert [store(spool, database, ds) for ds in slices(2)] == [Answer(Status.SUCCESS)] * 2
        found = rows(database)
        assert {(row["state"], row["reason"]) for row in found} == {("receiving", None)}
    assert rescan(spool, database) == Found()


@pytest.mark.fault("G16")
def test_what_came_after_a_backup_is_adopted_a_study_at_a_time(
    spool: Spool, database: Database
) -> None:
    """The database is older than the spool: a tick that judges studies never sees a part of one."""
    before = receive(spool, database, 6)
    forget(database)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE seen (changed INTEGER, instances INTEGER)")
        connection.exec_driver_sql(
            "CREATE TRIGGER s AFTER INSERT ON study BEGIN INSERT INTO seen VALUES "
            "(new.changed, (SELECT count(*) FROM instance)); END"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER t AFTER UPDATE ON study BEGIN INSERT INTO seen VALUES "
            "(new.changed, (SELECT count(*) FROM instance)); END"
        )
    assert rescan(spool, database) == Found(adopted=6)
    with database.read() as connection:
        changes = connection.exec_driver_sql("SELECT * FROM seen").all()
    assert len(changes) == 1  # one transaction brought it all
    assert rows(database) == before


def test_an_orphan_that_contradicts_a_row_stops_its_study(spool: Spool, database: Database) -> None:
    """Two receiving processes may each have acknowledged one of them."""
    (first,), (second,) = slices(), slices()
    second.Manufacturer = "Phantom works"
    assert store(spool, database, first) == Answer(Status.SUCCESS)
    before = set(spool.instance_files())
    forget(database)
    assert store(spool, database, second) == Answer(Status.SUCCESS)
    (contradiction,) = set(spool.instance_files()) - before
    forget(database)
    with database.write() as connection:
        (kept,) = before
        arrivals.add(connection, describe(kept), kept.name, now=1.0)

    assert rescan(spool, database) == Found(conflicts=1)
    assert rows(database)[0]["state"] == "needs_review"
    assert not contradiction.exists()
    (aside,) = spool.conflict.glob("??/*.dcm")
    assert describe(aside).sha256 != describe(kept).sha256


def test_a_place_made_ahead_and_an_instance_cut_off_are_removed(
    spool: Spool, database: Database
) -> None:
    """What was never acknowledged: no seal."""
    receive(spool, database)
    (path,) = spool.instance_files()
    whole = path.read_bytes()
    size, sha256 = part10.seal_of(read_file_meta_info(path))
    assert (size, sha256) == (describe(path).size, describe(path).sha256)
    seal = part10.SEAL.pack(size, bytes.fromhex(sha256))
    put(spool, b"")
    put(spool, whole.replace(seal, bytes(len(seal)))[:-5])
    put(spool, whole.replace(seal, bytes(len(seal))))
    assert rescan(spool, database) == Found(removed=2)
    assert list(spool.instance_files()) == [path]


def test_a_file_describes_itself(spool: Spool, database: Database, tmp_path: Path) -> None:
    receive(spool, database)
    (path,) = spool.instance_files()
    with database.read() as connection:
        assert arrivals.arrival(connection, describe(path)) is Arrival.DUPLICATE
