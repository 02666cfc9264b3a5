"""Every C-STORE that is answered is in the books: what is stored, and what is not."""

import copy
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_ai_node import draining
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.books import Books, books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive.imported import from_folder
from dicom_ai_node.receive.importing import Importer
from dicom_ai_node.receive.rescan import rescan
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.dicom_factory import write
from tests.receive.scu import CT, ECHO, association, slices, store


def read(database: Database) -> Books:
    with database.read() as connection:
        return books(connection)


def await_(test: Callable[[], bool], limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_received_is_stored_and_not_stored(receiver: int, database: Database) -> None:
    made = slices(4)
    other = copy.deepcopy(made[0])
    other.ContentTime = "000001"
    with association(receiver) as assoc:
        answers = [assoc.send_c_store(ds).Status for ds in (*made, made[1], other)]
    assert answers == [0, 0, 0, 0, 0, 0x0111]
    expected = {"stored": 4, "duplicate": 1, "conflict": 1}
    await_(lambda: read(database).received == expected)
    assert read(database).balanced


@pytest.mark.parametrize("config", [{"limits": {"study_instances": 2}}], indirect=True)
def test_what_is_refused_is_counted_by_its_status(receiver: int, database: Database) -> None:
    with association(receiver) as assoc:
        assert [assoc.send_c_store(ds).Status for ds in slices(5)] == [0, 0, *[0xC001] * 3]
    await_(lambda: read(database).received == {"stored": 2, "refused C001": 3})
    assert read(database).balanced


def test_what_is_only_counted_is_in_the_books_when_the_receiver_stops(
    config: Config, spool: Spool, database: Database
) -> None:
    (ds,) = slices()
    store(spool, database, ds)
    with Receiver(config, spool, database).running() as port, association(port) as assoc:
        assert assoc.send_c_store(ds).Status == 0
    assert read(database).received == {"duplicate": 1, "stored": 1}


def test_what_a_rescan_adopts_is_accounted_for(spool: Spool, database: Database) -> None:
    """As after a kill between the answer and the row."""
    for ds in slices(2):
        store(spool, database, ds)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM instance")
        connection.exec_driver_sql("DELETE FROM tally")
    rescan(spool, database)
    assert read(database).received == {"adopted": 2}
    assert read(database).balanced


def test_an_import_counts_as_reception(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    made = slices(3)
    store(spool, database, made[0])
    write(made, tmp_path / "cd")
    (tmp_path / "cd" / "odd.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 40)
    importer = Importer(config, spool, database, calling_ae_title="CD", said=from_folder(Path()))
    list(importer.run(iter(sorted((tmp_path / "cd").iterdir())), threading.Event()))
    assert read(database).received == {"duplicate": 1, "refused C000": 1, "stored": 3}
    assert read(database).balanced


def test_a_drained_node_takes_nothing_new(receiver: int, spool: Spool, database: Database) -> None:
    """But an association that is there goes on, and whether it is up may be asked (H7)."""
    made = slices(2)
    with association(receiver) as there:
        assert there.send_c_store(made[0]).Status == 0
        draining.begin(spool)
        with association(receiver) as refused:
            assert refused.is_rejected
            rejection = refused.acceptor.primitive
            assert (rejection.result, rejection.result_source, rejection.diagnostic) == (2, 3, 1)
        with association(receiver, [ECHO]) as asking:
            assert asking.send_c_echo().Status == 0
        assert there.send_c_store(made[1]).Status == 0
    draining.end(spool)
    with association(receiver, [CT]) as again:
        assert again.is_established
