"""A folder as a destination."""

import errno
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
import pytest
from pydicom.uid import UID

from dicom_ai_node.config.peers import FolderPeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.peers import folder as folder_module
from dicom_ai_node.peers.folder import FolderStore
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.peers.peer import NOT_WANTED, Offer
from dicom_ai_node.spool import Spool, durable_write
from tests.delivering import queue_of, ready, rows, state
from tests.made import configuration
from tests.peers.pacs import objects


def peer(folder: Path) -> FolderStore:
    return FolderStore(FolderPeer(kind="folder", path=folder))


def offer(paths: list[Path]) -> Offer:
    return Offer(paths=paths)


def test_files_appear_whole_under_their_uid(tmp_path: Path) -> None:
    paths = objects(tmp_path / "outbox")
    (outcomes,) = peer(tmp_path / "new" / "results").store([offer(paths)])
    assert [outcome.state for outcome in outcomes] == [DeliveryState.STORED] * 2
    for path in paths:
        uid = pydicom.dcmread(path).SOPInstanceUID
        assert (tmp_path / "new" / "results" / f"{uid}.dcm").read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "new" / "results").iterdir())) == 2


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    paths = objects(tmp_path / "outbox")
    folder = tmp_path / "results"
    list(peer(folder).store([offer(paths)]))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    list(peer(folder).store([offer(paths)]))
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_half_written_file_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path, _ = objects(tmp_path / "outbox")
    folder = tmp_path / "results"
    folder.mkdir()
    uid = pydicom.dcmread(path).SOPInstanceUID
    (folder / f".{uid}.part").write_bytes(b"half")
    list(peer(folder).store([offer([path])]))
    assert [file.name for file in folder.iterdir()] == [f"{uid}.dcm"]


def test_a_folder_that_cannot_be_written_may_be_back_later(tmp_path: Path) -> None:
    (tmp_path / "results").write_bytes(b"a file, not a folder")
    with pytest.raises(PeerUnreachable, match="the folder cannot be written"):
        list(peer(tmp_path / "results").store([offer(objects(tmp_path / "outbox"))]))


def test_no_uid_leads_out_of_the_folder(tmp_path: Path) -> None:
    path, other = objects(tmp_path / "outbox")
    ds = pydicom.dcmread(path)
    ds.SOPInstanceUID = UID("../../escaped")
    ds.save_as(path)
    (outcomes,) = peer(tmp_path / "a" / "results").store([offer([path, other])])
    assert [outcome.state for outcome in outcomes] == [DeliveryState.REFUSED, DeliveryState.STORED]
    assert not list(tmp_path.rglob("escaped*"))


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    path, other = objects(tmp_path / "outbox")
    path.write_bytes(b"gone bad")
    missing = tmp_path / "outbox" / "missing.dcm"
    (outcomes,) = peer(tmp_path / "results").store([offer([path, missing, other])])
    assert [outcome.state for outcome in outcomes] == ["refused", "refused", "stored"]


def test_what_is_no_longer_wanted_is_not_written(tmp_path: Path) -> None:
    cancelled, wanted = objects(tmp_path / "1", "cancelled"), objects(tmp_path / "2")
    offers = [Offer(paths=cancelled, is_wanted=lambda: False), offer(wanted)]
    answered = list(peer(tmp_path / "results").store(offers))
    assert answered[0] == [NOT_WANTED] * 2
    assert [outcome.state for outcome in answered[1]] == [DeliveryState.STORED] * 2
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_what_was_written_before_the_folder_was_full_is_on_record(
    config: Config,
    spool: Spool,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody takes what is there; the same object does not appear there again."""
    jobs = [ready(spool, database, letter * 64) for letter in "abc"]
    folder = tmp_path / "watched"
    written: Counter[str] = Counter()

    def write(target: Path, pieces: Iterable[bytes], part: Path) -> None:
        if len(list(folder.glob("*.dcm"))) >= 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        durable_write(target, pieces, part)
        written[target.name] += 1

    monkeypatch.setattr(folder_module, "durable_write", write)
    queue = queue_of(peer(folder), config, spool, database)
    now = database.now()
    queue.deliver_due(now=now)
    said = [[said for _, said, _ in rows(database, job)] for job in jobs]
    assert said == [["stored", "stored"], ["stored", "pending"], ["pending", "pending"]]
    queue.deliver_due(now=now + 1)
    assert queue.contact.reason == "the folder cannot be written (No space left on device)"
    for path in folder.glob("*.dcm"):
        path.unlink()
    queue.deliver_due(now=now + 1000)
    assert {state(database, job) for job in jobs} == {JobState.DONE}
    assert set(written.values()) == {1}
    assert len(written) == 6


def test_a_folder_is_opened_by_its_kind(tmp_path: Path) -> None:
    settings = FolderPeer(kind="folder", path=tmp_path / "results")
    opened = open_peer(settings, configuration(tmp_path).node)
    (outcomes,) = opened.store([offer(objects(tmp_path / "outbox"))])
    assert [outcome.state for outcome in outcomes] == ["stored"] * 2


def test_another_file_of_the_same_name_is_neither_replaced_nor_taken_for_the_object(
    tmp_path: Path,
) -> None:
    path, other = objects(tmp_path / "outbox")
    folder = tmp_path / "results"
    list(peer(folder).store([offer([path])]))
    (there,) = folder.iterdir()
    there.write_bytes(there.read_bytes() + b"x")
    (outcomes,) = peer(folder).store([offer([path, other])])
    assert [outcome.state for outcome in outcomes] == [DeliveryState.REFUSED, DeliveryState.STORED]
    assert "move it away, then `jobs retry`" in outcomes[0].status
    assert there.read_bytes() == path.read_bytes() + b"x"
    there.unlink()
    (outcomes,) = peer(folder).store([offer([path])])
    assert [outcome.state for outcome in outcomes] == [DeliveryState.STORED]


def test_nobody_ever_sees_half_a_file(tmp_path: Path) -> None:
    """On another file system than the outbox, too, where a file cannot simply be moved."""
    elsewhere = Path("/dev/shm")  # noqa: S108 - a folder of our own is made there
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    paths = objects(tmp_path / "outbox")
    with paths[0].open("ab") as file:
        file.write(bytes(20_000_000))
    with TemporaryDirectory(dir=elsewhere) as name:
        folder = Path(name) / "results"
        seen: set[int] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                seen.update(each.stat().st_size for each in folder.glob("*.dcm"))

        watching = threading.Thread(target=look)
        watching.start()
        try:
            (outcomes,) = peer(folder).store([offer(paths)])
        finally:
            done.set()
            watching.join()
        assert [outcome.state for outcome in outcomes] == [DeliveryState.STORED] * 2
        assert seen <= {path.stat().st_size for path in paths}
        assert not list(folder.glob(".*.part"))
