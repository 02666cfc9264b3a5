"""Success means durable (P1): what a receiver syncs before it says so, and what failures leave."""

import hashlib
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicom_ai_node.database import arrivals, studies
from dicom_ai_node.database.arrivals import Arrival, ReceivedInstance
from dicom_ai_node.database.engine import BUSY_TIMEOUT_S, Database
from dicom_ai_node.errors import AlreadyRunning
from dicom_ai_node.header import data_of
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.ledger import Ledger
from dicom_ai_node.receive.part10 import SEAL
from dicom_ai_node.receive.rescan import Found, rescan
from dicom_ai_node.spool import Spool
from tests.made import empty_place
from tests.receive.scu import association, encoded, slices, store
from tests.receive.syscalls import (
    Call,
    Disk,
    ReceiveProcess,
    Success,
    calls,
    cpu_s,
    ended,
    read_trace,
    resident_kb,
    strace,
    too_early,
)

AT_ONCE = 3


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceiveProcess]:
    """A node that is not started yet."""
    with ReceiveProcess(tmp_path / "node") as made:
        yield made


def rows(node: ReceiveProcess) -> dict[str, tuple[str, str]]:
    """SHA-256 and file of every instance in the table."""
    with node.database() as database:
        return rows_of(database)


def rows_of(database: Database) -> dict[str, tuple[str, str]]:
    query = "SELECT sop_instance_uid, sha256, file FROM instance"
    with database.read() as connection:
        return {uid: (sha, file) for uid, sha, file in connection.exec_driver_sql(query)}


def kept(spool: Spool, file: str) -> bytes:
    return bytes(data_of(spool.instance_path(file).read_bytes()))


def send(port: int, instances: Sequence[Dataset]) -> list[int]:
    """On one association; the statuses."""
    with association(port) as assoc:
        return [assoc.send_c_store(ds).Status for ds in instances]


# The order of what is asked of the kernel


@dataclass(frozen=True)
class Traced:
    """A receiver that was killed, what it was sent, and what it had asked of the kernel."""

    node: ReceiveProcess
    sent: dict[str, bytes]
    calls: list[Call]

    def read(self) -> tuple[Disk, list[Success]]:
        return read_trace(self.calls, self.node.spool_root / "instances")


def traced(home: Path, number: int, *, without: str = "") -> Traced:
    trace = home / "trace"
    with ReceiveProcess(home / "node") as node:
        node.start(under=strace(trace), without=without)
        assert node.process is not None
        pid = node.process.pid
        parts = [slices(number, name=f"association {index}") for index in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda part: send(node.port, part), parts))
        assert answers == [[0x0000] * number] * AT_ONCE
    sent = {ds.SOPInstanceUID: encoded(ds) for part in parts for ds in part}
    return Traced(node, sent, calls(ended(trace, pid)))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return traced(tmp_path_factory.mktemp("traced"), 25)


def test_success_is_said_after_the_sync(killed: Traced) -> None:
    """Bytes and directory entries, of each instance on each of the associations (P1)."""
    disk, said = killed.read()
    assert sorted(success.sop_instance_uid for success in said) == sorted(killed.sent)
    assert [len(success.files) for success in said] == [1] * len(killed.sent)
    assert too_early(disk, said) == []


def test_one_sync_an_instance(killed: Traced) -> None:
    """Everything else has happened before, or happens for many at once."""
    instances = killed.node.spool_root / "instances"
    synced = [call.path() for call in killed.calls if call.name == "fdatasync"]
    of_instances = [path for path in synced if path and path.is_relative_to(instances)]
    assert len(of_instances) == len(set(of_instances)) == len(killed.sent)


@pytest.mark.parametrize("without", ["fdatasync", "fsync"])
def test_the_check_sees_a_node_that_does_not_sync(tmp_path: Path, without: str) -> None:
    disk, said = traced(tmp_path, 2, without=without).read()
    assert len(too_early(disk, said)) == len(said) == 2 * AT_ONCE


_FOLDER = "/var/instances/ab"
_TRACE = [
    f'1 mkdir("{_FOLDER}", 0700) = 0',
    "1 fsync(5</var/instances>) = 0",
    f'1 openat(AT_FDCWD</>, "{_FOLDER}/a.dcm", O_WRONLY|O_CREAT|O_EXCL, 0600) = 6<{_FOLDER}/a.dcm>',
    f"1 fsync(5<{_FOLDER}>) = 0",
    f'2 write(6<{_FOLDER}/a.dcm>, "DICM", 4) = 4',
    f"2 fdatasync(6<{_FOLDER}/a.dcm> <unfinished ...>",
    '3 write(2</dev/null>, "x", 1) = 1',
    "2 <... fdatasync resumed>)         = 0",
    # group length, C-STORE-RSP, status 0000, SOP Instance UID 1.2
    (
        r'2 sendto(7<socket:[1]>, "\4\0\0\0\0\60\0\0\0\54\1\3'
        r"\0\0\0\0\4\0\0\0\44\0\0\0\0\0\0\1\2\0\0\0\1\200\0\0\0\11\2\0\0\0\0\0"
        r'\0\0\0\20\4\0\0\0001.2\0", 54, 0, NULL, 0) = 54'
    ),
]


def _without(*numbers: int) -> list[str]:
    return [line for at, line in enumerate(_TRACE) if at not in numbers]


@pytest.mark.parametrize(
    "trace",
    [
        _without(0, 1, 2, 3, 4),
        _without(1),
        _without(3),
        _without(5, 7),
        [*_TRACE[:7], _TRACE[7].replace("= 0", "= -1 EIO (Input/output error)"), _TRACE[8]],
        [*_TRACE[:7], _TRACE[8], _TRACE[7]],
        [*_TRACE[:6], _TRACE[4], *_TRACE[7:]],
        [*_TRACE[:8], _TRACE[4], _TRACE[8]],
    ],
    ids=[
        "no file",
        "folder not in its parent",
        "no entry",
        "no sync",
        "sync failed",
        "sync returned later",
        "written during the sync",
        "written after the sync",
    ],
)
def test_the_check_sees_what_is_out_of_order(trace: list[str]) -> None:
    instances = Path(_FOLDER).parent
    disk, said = read_trace(calls(_TRACE), instances)
    assert [success.sop_instance_uid for success in said] == ["1.2"]
    assert too_early(disk, said) == []
    disk, said = read_trace(calls(trace), instances)
    assert len(too_early(disk, said)) == 1


# What a power cut leaves


def cut(killed: Traced, at: int, fate: str, root: Path) -> Spool:
    """The spool as a power cut at that line of the trace may leave it."""
    disk, _ = killed.read()
    shutil.copytree(killed.node.spool_root, root)
    spool = Spool(root)
    for path in spool.instances.glob("??/*.dcm"):
        original = killed.node.spool_root / path.relative_to(root)
        if not disk.has_entry(original, at):
            path.unlink()
        elif (whole := path.read_bytes()) and not disk.holds(original, at):
            left = {
                "nothing": b"",
                "half": whole[: len(whole) // 2],
                "zeros": whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
                "no seal": unsealed(whole),
            }
            path.write_bytes(left[fate])
    return spool


def unsealed(whole: bytes) -> bytes:
    data = data_of(whole)
    seal = SEAL.pack(len(data), hashlib.sha256(data).digest())
    assert whole.count(seal) == 1
    return whole.replace(seal, bytes(len(seal)))


@pytest.mark.fault("G2")
@pytest.mark.parametrize("fate", ["nothing", "half", "zeros", "no seal"])
def test_a_power_cut_takes_nothing_that_was_acknowledged(
    killed: Traced, tmp_path: Path, fate: str, empty_database: Path
) -> None:
    """Whatever becomes of bytes that were not synced, and with all of the table gone."""
    _, said = killed.read()
    for number, last in enumerate(said[:: len(said) // 5]):
        home = tmp_path / str(number)
        home.mkdir()
        spool = cut(killed, last.at, fate, home / "var")
        shutil.copy(empty_database, home / "node.db")
        database = Database(f"sqlite:///{home}/node.db")
        rescan(spool, database)
        found = rows_of(database)
        for success in said:
            if success.at <= last.at:
                sha256, file = found[success.sop_instance_uid]
                data = killed.sent[success.sop_instance_uid]
                assert (kept(spool, file), sha256) == (data, hashlib.sha256(data).hexdigest())
        assert rescan(spool, database).adopted == 0
        database.close()


def test_a_rescan_syncs_what_it_adopts(tmp_path: Path) -> None:
    """Killed before the sync, the bytes were in memory only; sent again, they are a duplicate."""
    with ReceiveProcess(tmp_path / "node") as node:
        node.start()
        assert send(node.port, slices(3)) == [0x0000] * 3
        node.kill()
        with sqlite3.connect(node.home / "node.db") as connection:
            connection.execute("DELETE FROM instance")
        connection.close()
        trace = tmp_path / "trace"
        node.start(under=strace(trace))
        assert node.process is not None
        pid = node.process.pid
    files = {node.spool().instance_path(file) for _, file in rows(node).values()}
    made = calls(ended(trace, pid))
    synced = {call.path() for call in made if call.name == "fdatasync" and call.result == 0}
    assert len(files) == 3
    assert files <= synced
    assert {file.parent for file in files} <= {call.path() for call in made if call.name == "fsync"}


# A disk that fails


@pytest.fixture
def failing(
    node: ReceiveProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> tuple[ReceiveProcess, Path]:
    """A node with tables whose system calls fail as its parameters say."""
    node.make_tables()
    injected = [part for each in request.param for part in ("-e", f"inject={each}")]
    node.start(under=strace(tmp_path / "trace", *injected))
    return node, tmp_path / "trace"


def finished(node: ReceiveProcess, trace: Path) -> list[Call]:
    assert node.process is not None
    pid = node.process.pid
    node.kill()
    return calls(ended(trace, pid))


def assert_only(node: ReceiveProcess, instances: Sequence[Dataset]) -> None:
    """These are stored, and nothing else is."""
    found = rows(node)
    assert set(found) == {ds.SOPInstanceUID for ds in instances}
    spool = node.spool()
    for ds in instances:
        assert kept(spool, found[ds.SOPInstanceUID][1]) == encoded(ds)
    assert len(list(spool.instance_files())) == len(instances)


@pytest.mark.parametrize("failing", [["fdatasync:error=EIO:when=3"]], indirect=True)
def test_a_sync_that_fails_is_final_for_its_object(failing: tuple[ReceiveProcess, Path]) -> None:
    """A700, nothing kept, no second sync of that file; the thread of the rows has one that fails,
    too, and tries again."""
    node, trace = failing
    instances = slices(6)
    with association(node.port) as assoc:
        answers = [assoc.send_c_store(ds) for ds in instances]
        assert [answer.Status for answer in answers] == [0, 0, 0xA700, 0, 0, 0]
        assert answers[2].ErrorComment == "the disk cannot take it now"
    good = [*instances[:2], *instances[3:]]
    assert_only(node, good)
    with association(node.port) as assoc:
        assert assoc.send_c_store(instances[2]).Status == 0x0000
    made = finished(node, trace)
    failed = [call for call in made if call.name == "fdatasync" and call.result < 0]
    (lost,) = {path for call in failed if (path := call.path()) and path.suffix == ".dcm"}
    assert sum(call.name == "fdatasync" and call.path() == lost for call in made) == 1
    assert not lost.exists()
    assert_only(node, instances)


@pytest.mark.fault("G5")
@pytest.mark.parametrize(
    "failing", [["fdatasync:error=EIO:when=1", "unlink:error=EROFS:when=1"]], indirect=True
)
def test_a_disk_that_goes_read_only_ends_no_association(
    failing: tuple[ReceiveProcess, Path],
) -> None:
    """What cannot be removed either was not acknowledged: sent again, it is kept once."""
    node, _ = failing
    instances = slices(3)
    assert send(node.port, instances) == [0xA700, 0, 0]
    assert "instance_not_removed" in node.log()
    node.kill()
    node.start()
    assert send(node.port, instances) == [0, 0, 0]
    assert_only(node, instances)


@pytest.mark.parametrize(
    "failing",
    [["write:error=ENOSPC:when=8"], ["write:error=EIO:when=7"], ["pwrite64:error=EDQUOT:when=4"]],
    indirect=True,
    ids=["data", "head", "seal"],
)
def test_a_write_that_fails_is_one_object(failing: tuple[ReceiveProcess, Path]) -> None:
    """Head and data set are a write each, on a thread of the association's own."""
    node, trace = failing
    instances = slices(6)
    with association(node.port) as assoc:
        assert [assoc.send_c_store(ds).Status for ds in instances] == [0, 0, 0, 0xA700, 0, 0]
        assert assoc.send_c_store(instances[3]).Status == 0x0000
    assert_only(node, instances)
    failed = [call for call in finished(node, trace) if call.result < 0]
    assert any((path := call.path()) and path.suffix == ".dcm" for call in failed)


# The database


@pytest.mark.slow
@pytest.mark.fault("G7")
def test_a_locked_database_is_waited_for_and_then_said(node: ReceiveProcess) -> None:
    """Rows may be late as long as a rescan could rebuild them; then A700, and it recovers."""
    node.start()
    known, *instances = slices(400)
    assert send(node.port, [known]) == [0x0000]
    locker = sqlite3.connect(node.home / "node.db", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    until = time.monotonic() + BUSY_TIMEOUT_S + 4
    answers = []
    with association(node.port) as assoc:
        for ds in instances:
            began = time.monotonic()
            status = assoc.send_c_store(ds).Status
            answers.append((ds, status, time.monotonic() - began))
            if locker.in_transaction and time.monotonic() > until:
                locker.execute("ROLLBACK")
                recovering = time.monotonic()
            if not locker.in_transaction:
                if status == 0x0000:
                    break
                assert time.monotonic() - recovering < 5
            time.sleep(0.1)
        assert assoc.send_c_echo().Status == 0x0000
    locker.close()
    statuses = [status for _, status, _ in answers]
    assert set(statuses) == {0x0000, 0xA700}
    assert (statuses[0], statuses[-1]) == (0x0000, 0x0000)
    assert max(seconds for _, _, seconds in answers) < BUSY_TIMEOUT_S + 5
    assert_only(node, [known, *(ds for ds, status, _ in answers if status == 0x0000)])


@pytest.mark.fault("G12")
def test_a_second_node_on_the_spool_does_not_start(node: ReceiveProcess, tmp_path: Path) -> None:
    node.start()
    assert node.process is not None
    second = ReceiveProcess(tmp_path / "second", spool=node.spool_root)
    done = subprocess.run(second.command, capture_output=True, text=True, timeout=60)
    assert done.returncode == AlreadyRunning.exit_status
    assert f"receive already runs on the spool {node.spool_root}" in done.stderr
    assert f"(process {node.process.pid})" in done.stderr
    assert send(node.port, slices()) == [0x0000]


# One UID twice


def other(ds: Dataset, fill: int = 0) -> Dataset:
    """Other pixels under the same UIDs."""
    (again,) = (each for each in slices() if each.SOPInstanceUID == ds.SOPInstanceUID)
    again.PixelData = bytes([fill]) * len(ds.PixelData)
    return again


def test_contradictions_are_kept_aside_once(node: ReceiveProcess) -> None:
    """The first row may still be on its way when the second object comes (P3)."""
    node.start()
    (first,) = slices()
    again = [other(first, 1), other(first, 2), other(first, 1), first]
    assert send(node.port, [first, *again]) == [0x0000, 0x0111, 0x0111, 0x0111, 0x0000]
    node.kill()
    assert_only(node, [first])
    aside = {path.name: data_of(path.read_bytes()) for path in node.spool().conflict.glob("*/*")}
    assert set(aside.values()) == {encoded(again[0]), encoded(again[1])}
    assert set(aside) == {f"{hashlib.sha256(data).hexdigest()}.dcm" for data in aside.values()}
    with node.database() as database, database.read() as connection:
        study = studies.find(connection, first.StudyInstanceUID)
    assert study is not None
    assert study["state"] == "needs_review"


def test_an_instance_on_many_associations_at_once_is_stored_once(node: ReceiveProcess) -> None:
    node.start()
    instances = slices(20)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send(node.port, instances), range(4)))
    assert answers == [[0x0000] * 20] * 4
    assert_only(node, instances)


def test_lost_files_come_back_once(node: ReceiveProcess) -> None:
    node.start()
    instances = slices(10)
    assert send(node.port, instances) == [0x0000] * 10
    for path in node.spool().instance_files():
        path.unlink()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send(node.port, instances), range(4)))
    assert answers == [[0x0000] * 10] * 4
    assert_only(node, instances)


def test_a_copy_without_a_row_replaces_a_lost_file(spool: Spool, database: Database) -> None:
    """Killed between the file and its row: the only copy there is must not be removed."""
    (ds,) = slices()
    assert store(spool, database, ds) == Answer(Status.SUCCESS)
    (path,) = spool.instance_files()
    copy = path.rename(spool.instance_path(empty_place(spool)))
    assert rescan(spool, database) == Found(adopted=1)
    assert rows_of(database)[ds.SOPInstanceUID][1] == copy.name
    assert rescan(spool, database) == Found()


def test_no_damage_keeps_a_node_from_starting(
    spool: Spool, database: Database, dice: random.Random
) -> None:
    """A file without a row, of which some bytes are others; the row must never say otherwise."""
    (ds,) = slices()
    assert store(spool, database, ds) == Answer(Status.SUCCESS)
    ((sha256, file),) = rows_of(database).values()
    path = spool.instance_path(file)
    whole = path.read_bytes()
    head = len(whole) - len(encoded(ds))
    for _ in range(300):
        with database.write() as connection:
            connection.exec_driver_sql("DELETE FROM instance")
        damaged = bytearray(whole)
        for _ in range(dice.choice([1, 2, 8])):
            damaged[dice.randrange(128, head)] = dice.choice([0, 255, dice.randrange(256)])
        path.write_bytes(damaged[: dice.choice([len(whole), dice.randrange(1, len(whole))])])
        rescan(spool, database)
        assert {kept for kept, _ in rows_of(database).values()} <= {sha256}
        path.unlink(missing_ok=True)


# What it costs


def test_associations_that_say_nothing_cost_nothing(tmp_path: Path) -> None:
    limits = {"associations_per_peer": 20}
    with ReceiveProcess(tmp_path / "node", limits=limits) as node:
        node.start()
        assert node.process is not None
        idle = [association(node.port) for _ in range(20)]
        try:
            assert all(each.__enter__().is_established for each in idle)
            before = cpu_s(node.process.pid)
            time.sleep(3)
            assert cpu_s(node.process.pid) - before < 0.1
        finally:
            for each in idle:
                each.__exit__(None, None, None)


@pytest.mark.slow
def test_large_objects_are_not_held_in_memory(
    node: ReceiveProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of 40 MB at once."""
    monkeypatch.setattr("pynetdicom._config.STORE_SEND_CHUNKED_DATASET", True)
    size = 40_000_000
    paths = []
    for number in range(8):
        (ds,) = slices(name=f"large {number}")
        ds.PixelData = b"\0" * size
        ds.save_as(tmp_path / str(number), enforce_file_format=True)
        paths.append(tmp_path / str(number))
    node.start()
    assert node.process is not None
    pid = node.process.pid
    assert send(node.port, slices()) == [0x0000]
    before = most = resident_kb(pid)

    def send_file(path: Path) -> int:
        with association(node.port) as assoc:
            return int(assoc.send_c_store(path).Status)

    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send_file, path) for path in paths]
        while not all(each.done() for each in sending):
            most = max(most, resident_kb(pid))
            time.sleep(0.02)
    assert [each.result() for each in sending] == [0x0000] * 8
    assert most - before < 25_000


# The ledger


def received(uid: str, sha256: str = "a", study: str = "1.2") -> ReceivedInstance:
    return ReceivedInstance(
        study_instance_uid=study,
        series_instance_uid="1.2.3",
        sop_class_uid=CTImageStorage,
        sop_instance_uid=uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        patient_digest="p",
        calling_ae_title="PACS",
        called_ae_title="AI_NODE",
        sha256=sha256,
        size=1,
    )


@pytest.fixture
def ledger(spool: Spool, database: Database, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    is_alone = getattr(request, "param", True)
    made = Ledger(database, spool, study_instances=3, is_alone=is_alone)
    made.start()
    yield made
    made.stop()


def test_rows_follow_in_groups(ledger: Ledger, database: Database) -> None:
    with database.write():  # nothing can be committed
        for uid in ("1", "2", "3"):
            assert ledger.hand_in(received(uid), uid) is Arrival.NEW
        assert ledger.hand_in(received("2"), "again") is Arrival.DUPLICATE
        assert ledger.hand_in(received("3", "b"), "other") is Arrival.CONFLICT
        assert ledger.hand_in(received("4"), "4") is Arrival.TOO_MANY
        assert ledger.file_of("2") == "2"
        assert not ledger.settle(0.1)
        assert rows_of(database) == {}
    assert ledger.settle(5)
    assert rows_of(database) == {uid: ("a", uid) for uid in ("1", "2", "3")}
    assert ledger.hand_in(received("2"), "again") is Arrival.DUPLICATE
    assert ledger.hand_in(received("3", "b"), "other") is Arrival.CONFLICT
    assert ledger.file_of("2") == "2"


def test_rows_follow_without_being_waited_for(ledger: Ledger, database: Database) -> None:
    ledger.hand_in(received("1"), "1")
    deadline = time.monotonic() + 5
    while not rows_of(database) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(rows_of(database)) == {"1"}


def test_a_study_that_was_purged_may_grow_again(ledger: Ledger, database: Database) -> None:
    for uid in ("1", "2", "3"):
        ledger.hand_in(received(uid), uid)
    assert ledger.settle(5)
    assert ledger.hand_in(received("4"), "4") is Arrival.TOO_MANY
    with database.write() as connection:
        study = studies.find(connection, "1.2")
        assert study is not None
        studies.purge(connection, study["id"])
    assert ledger.hand_in(received("4"), "4") is Arrival.NEW
    assert ledger.hand_in(received("1"), "1") is Arrival.NEW  # its row is gone, too
    assert ledger.settle(5)
    assert set(rows_of(database)) == {"1", "4"}


@pytest.mark.parametrize("ledger", [False], indirect=True)
def test_another_process_may_be_first(ledger: Ledger, spool: Spool, database: Database) -> None:
    """Two processes on one port have each acknowledged an instance; the rows say who was first."""
    same, differs, gone = (empty_place(spool) for _ in range(3))
    with database.write() as connection:
        assert ledger.hand_in(received("1"), same) is Arrival.NEW
        assert ledger.hand_in(received("2", "b"), differs) is Arrival.NEW
        assert ledger.hand_in(received("3", "b"), gone) is Arrival.NEW
        spool.instance_path(gone).unlink()  # what cannot be set aside stops no other row
        for uid in ("1", "2", "3"):
            arrivals.add(connection, received(uid), empty_place(spool), now=1.0)
    assert ledger.settle(5)
    assert not spool.instance_path(same).exists()
    assert not spool.instance_path(differs).exists()
    assert (spool.conflict / "b." / "b.dcm").exists()
    assert {uid: sha for uid, (sha, _) in rows_of(database).items()} == dict.fromkeys("123", "a")
    ledger.hand_in(received("4", study="1.4"), "4")
    assert ledger.settle(5)
    assert "4" in rows_of(database)


def test_the_end_commits_what_is_pending(spool: Spool, database: Database) -> None:
    ledger = Ledger(database, spool, study_instances=3, is_alone=True)
    ledger.start()
    ledger.hand_in(received("1"), "1")
    ledger.hand_in(received("2"), "2")
    ledger.stop()
    assert set(rows_of(database)) == {"1", "2"}


def test_a_ledger_that_was_not_started_can_be_stopped(spool: Spool, database: Database) -> None:
    Ledger(database, spool, study_instances=3, is_alone=True).stop()
