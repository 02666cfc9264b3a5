"""A disk that fills up (P9): watermarks, A700 where there is no room, and back again."""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node.config.settings import LimitsSettings
from dicom_ai_node.receive.space import Space
from tests.receive.scu import association, rejection, slices
from tests.receive.syscalls import ReceiveProcess

DISK_MB = 40
_LOOKED_AGAIN_S = 0.6  # a little more than between two looks

needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a small disk needs root"
)


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of 40 MB; its parameter is a further option of mount."""
    options = f"size={DISK_MB}m{getattr(request, 'param', '')}"
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield small
    subprocess.run(["umount", str(small)], check=True)


def receiving(home: Path, spool: Path, *, soft: int, hard: int, database: Path) -> ReceiveProcess:
    return ReceiveProcess(
        home / "node",
        spool=spool,
        node={"database": f"sqlite:///{database}"},
        limits={"space_soft_mb": soft, "space_hard_mb": hard},
    )


def fill(disk: Path, leave: int) -> None:
    """Take all but so many bytes; the node may take some of them at the same time."""
    with (disk / "filler").open("ab") as filler:
        for _ in range(100):
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            try:
                os.posix_fallocate(filler.fileno(), filler.tell(), free - leave)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            else:
                break
        else:
            raise TimeoutError("somebody else takes and gives back all the time")
    time.sleep(_LOOKED_AGAIN_S)


def empty(disk: Path) -> None:
    (disk / "filler").unlink()
    time.sleep(_LOOKED_AGAIN_S)


def large(number: int) -> Dataset:
    (ds,) = slices(name=f"large {number}")
    ds.PixelData = bytes(1_000_000)
    return ds


def count(node: ReceiveProcess) -> int:
    with node.database() as database, database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM instance").scalar_one())


@needs_mount
@pytest.mark.fault("G4")
def test_watermarks(disk: Path, tmp_path: Path) -> None:
    """Soft: no new association. Hard: no instance. Each until there is room again."""
    with receiving(tmp_path, disk / "var", soft=20, hard=10, database=tmp_path / "node.db") as node:
        node.start()
        one, two, three, four = slices(4)
        with association(node.port) as assoc:
            assert assoc.send_c_store(one).Status == 0x0000

            fill(disk, 15_000_000)
            with association(node.port) as another:
                assert rejection(another) == (2, 3, 1)
            assert assoc.send_c_store(two).Status == 0x0000

            fill(disk, 5_000_000)
            answer = assoc.send_c_store(three)
            assert (answer.Status, answer.ErrorComment) == (0xA700, "the disk cannot take it now")
            assert assoc.send_c_echo().Status == 0x0000

            empty(disk)
            assert assoc.send_c_store(three).Status == 0x0000
        with association(node.port) as assoc:
            assert assoc.send_c_store(four).Status == 0x0000
        assert count(node) == len(list(node.spool().instance_files())) == 4
        assert "disk_space_low" in node.log()
        assert "disk_space_again" in node.log()


@needs_mount
@pytest.mark.fault("G3")
@pytest.mark.parametrize("with_database", [False, True], ids=["spool", "spool and database"])
def test_no_space_is_one_objects_failure(disk: Path, tmp_path: Path, with_database: bool) -> None:
    """The object that does not fit is gone again; what fits is stored; later, all of it is."""
    database = (disk if with_database else tmp_path) / "node.db"
    with receiving(tmp_path, disk / "var", soft=0, hard=0, database=database) as node:
        node.start()
        with association(node.port) as assoc:
            assert assoc.send_c_store(large(0)).Status == 0x0000
        with association(node.port) as assoc:
            fill(disk, 500_000)
            for _ in range(3):  # each gives back what it had taken
                assert assoc.send_c_store(large(1)).Status == 0xA700
            assert assoc.send_c_echo().Status == 0x0000
            (small,) = slices()
            assert assoc.send_c_store(small).Status == 0x0000
            assert len(list(node.spool().instance_files())) == 2
            empty(disk)
            assert assoc.send_c_store(large(1)).Status == 0x0000
        assert count(node) == len(list(node.spool().instance_files())) == 3
        assert node.stop() == 0


@needs_mount
@pytest.mark.fault("G3")
def test_rows_wait_for_space(disk: Path, tmp_path: Path) -> None:
    """The database is on the full disk, the spool is not: rows are late, and none is lost."""
    with receiving(tmp_path, tmp_path / "var", soft=0, hard=0, database=disk / "node.db") as node:
        node.start()
        instances = slices(60)
        with association(node.port) as assoc:
            assert assoc.send_c_store(instances[0]).Status == 0x0000
            fill(disk, 0)
            statuses = [assoc.send_c_store(ds).Status for ds in instances[1:]]
            assert set(statuses) == {0x0000}
            node.wait(lambda: "rows_not_committed" in node.log())
            assert count(node) <= 1
            empty(disk)
        assert count(node) == 60


@needs_mount
@pytest.mark.fault("G5")
@pytest.mark.parametrize("disk", [",nr_inodes=150"], indirect=True)
def test_no_inodes_are_left(disk: Path, tmp_path: Path) -> None:
    with receiving(tmp_path, disk / "var", soft=0, hard=0, database=tmp_path / "node.db") as node:
        node.start()
        instances = slices(200)
        with association(node.port) as assoc:
            statuses = [assoc.send_c_store(ds).Status for ds in instances]
            full = statuses.index(0xA700)
            assert set(statuses[:full]) == {0x0000}
            assert set(statuses[full:]) == {0xA700}
            assert assoc.send_c_echo().Status == 0x0000
            subprocess.run(["mount", "-o", "remount,nr_inodes=1000", str(disk)], check=True)
            time.sleep(_LOOKED_AGAIN_S)
            assert {assoc.send_c_store(ds).Status for ds in instances[full:]} == {0x0000}
        assert count(node) == 200


@needs_mount
def test_a_node_starts_on_a_full_disk(disk: Path, tmp_path: Path) -> None:
    """Delivery and the answers to senders depend on it."""
    with receiving(tmp_path, disk / "var", soft=0, hard=0, database=disk / "node.db") as node:
        node.start()
        node.kill()
        fill(disk, 0)
        node.start()
        with association(node.port) as assoc:
            assert assoc.send_c_store(large(0)).Status == 0xA700
            empty(disk)
            assert assoc.send_c_store(large(0)).Status == 0x0000


def test_a_disk_that_cannot_be_asked_takes_nothing(tmp_path: Path) -> None:
    limits = LimitsSettings(space_soft_mb=1, space_hard_mb=1)
    assert not Space([tmp_path], limits).is_scarce()
    assert Space([tmp_path, tmp_path / "gone"], limits).is_scarce()
