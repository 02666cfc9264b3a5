"""The disk: whole files or none, names of ours, one holder a role."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from dicom_ai_node.errors import AlreadyRunning, ConfigError
from dicom_ai_node.spool import Spool, durable_write, remove_folder
from tests.made import empty_place

HOLD = """
import sys, time
from pathlib import Path
from dicom_ai_node.spool import Spool
with Spool(Path(sys.argv[1])).lock("work"):
    print("held", flush=True)
    time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def holder(spool: Spool) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the role `work`."""
    command = [sys.executable, "-c", HOLD, str(spool.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_places_are_empty_files_under_names_of_ours(spool: Spool) -> None:
    names = [empty_place(spool) for _ in range(3)]
    assert len(set(names)) == 3
    assert {spool.instance_path(name).read_bytes() for name in names} == {b""}
    spool.instance_path(names[0]).write_bytes(b"x")
    assert list(spool.instance_files()) == [spool.instance_path(names[0])]
    spool.sweep_places()
    assert files(spool.instances) == [spool.instance_path(names[0])]


def keep(spool: Spool, chunks: Iterable[bytes]) -> Path:
    """A file written durably, by way of `incoming`."""
    target = spool.root / "kept" / "a"
    durable_write(target, chunks, spool.incoming / "a.part")
    return target


def test_what_was_written_is_there(spool: Spool) -> None:
    assert keep(spool, iter([b"one", b"two"])).read_bytes() == b"onetwo"
    assert files(spool.incoming) == []


def test_nobody_else_may_look(spool: Spool) -> None:
    old = os.umask(0)
    try:
        path = spool.instance_path(empty_place(spool))
        with spool.lock("work"):
            locks = files(spool.locks)
    finally:
        os.umask(old)
    assert {mode(file) for file in (path, *locks)} == {0o600}
    folders = [spool.root, spool.incoming, spool.instances, spool.conflict, spool.outbox]
    folders += [spool.locks, path.parent]
    assert {mode(folder) for folder in folders} == {0o700}


def test_a_write_that_fails_leaves_nothing(spool: Spool) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        keep(spool, chunks())
    assert files(spool.root) == []


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a small disk needs root"
)
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        spool = Spool(small / "spool")
        with pytest.raises(OSError, match="No space left"):
            keep(spool, [bytes(4096)] * 32)
        assert files(spool.root) == []
        keep(spool, [bytes(4096)])  # and goes on when there is room
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "a.part").symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        durable_write(tmp_path / "a", [b"x"], tmp_path / "a.part")
    assert not elsewhere.exists()


def attempted(spool: Spool, lease: str, content: bytes) -> Path:
    folder = spool.attempt_path(lease)
    folder.mkdir()
    (folder / "1-seg.dcm").write_bytes(content)
    return folder


@pytest.mark.fault("E11")
def test_the_first_result_wins(spool: Spool) -> None:
    key = "ab" + "0" * 62
    first = spool.publish(attempted(spool, "one", b"first"), key)
    assert first == spool.outbox_path(key)
    second = spool.publish(attempted(spool, "two", b"second"), key)
    assert second == first
    assert (first / "1-seg.dcm").read_bytes() == b"first"
    assert list(spool.incoming.iterdir()) == []


def test_a_result_that_is_out_can_be_published_again(spool: Spool) -> None:
    """A worker that died after the rename finds its folder gone from incoming."""
    key = "ab" + "0" * 62
    folder = attempted(spool, "one", b"first")
    assert spool.publish(folder, key) == spool.publish(folder, key)


def test_sweeping_takes_files_and_folders_of_one_role(spool: Spool) -> None:
    attempted(spool, "one", b"")
    (spool.incoming / "x.part").write_bytes(b"")
    spool.sweep_incoming("attempt-*")
    assert [path.name for path in spool.incoming.iterdir()] == ["x.part"]
    spool.sweep_incoming("*.part")
    assert list(spool.incoming.iterdir()) == []


def test_a_role_that_is_taken_names_its_holder(
    spool: Spool, holder: "subprocess.Popen[str]"
) -> None:
    taken = pytest.raises(AlreadyRunning, match=rf"work already runs .*process {holder.pid}\)")
    with taken, spool.lock("work"):
        pass
    with spool.lock("receive"):
        pass


def test_a_killed_holder_lets_go(spool: Spool, holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGKILL)
    with spool.lock("work", wait_s=10):
        assert (spool.locks / "work.lock").read_text() == f"{os.getpid()}\n"
    with spool.lock("work"):
        pass


def test_a_spool_that_cannot_be_made_is_the_administrators(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"check node\.spool"):
        Spool(tmp_path / "file")


def test_a_folder_goes_whatever_its_writer_did_to_it(tmp_path: Path) -> None:
    """Without the right to look inside, or to delete; and what a link leads to stays."""
    (tmp_path / "kept").mkdir(mode=0o500)
    folder = tmp_path / "attempt"
    for path in (folder / "closed" / "below", folder / "kept from us"):
        path.mkdir(parents=True)
        (path / "file").touch()
    (folder / "link").symlink_to(tmp_path / "kept")
    for path in (folder / "closed" / "below", folder / "closed", folder):
        path.chmod(0)
    remove_folder(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o500
