"""What a node stands on gives way: descriptors, rights, a slow disk; and it recovers."""

import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import insert

from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import instance
from dicom_ai_node.disks import NETWORK, kind_of, sync_s
from dicom_ai_node.receive.rescan import Found, rescan
from dicom_ai_node.spool import Spool
from tests.database.made import NOW, a_study
from tests.receive.scu import association, refusal, slices
from tests.receive.syscalls import ReceiveProcess, strace
from tests.tools import missing_tool

TEMPORARY_CONGESTION = (2, 3, 1)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceiveProcess]:
    """A node that is not started yet, and lets many connect."""
    limits = {"connections": 500, "connections_per_s": 1000}
    with ReceiveProcess(tmp_path / "node", limits=limits) as made:
        made.make_tables()
        made.spool()
        yield made


def answer(node: ReceiveProcess, number: int) -> object:
    """To one C-STORE; or how the association was refused."""
    with association(node.port) as assoc:
        if not assoc.is_established:
            return refusal(assoc)
        return int(assoc.send_c_store(slices(number)[number - 1]).Status)


def number_in(folder: Path) -> int:
    return len(list(folder.iterdir()))


@pytest.mark.fault("G14")
def test_a_node_without_descriptors_turns_associations_away_until_there_are_some(
    node: ReceiveProcess,
) -> None:
    node.start(under=("sh", "-c", 'ulimit -n 128; exec "$0" "$@"'))
    assert answer(node, 1) == 0x0000
    assert node.process is not None
    descriptors = Path(f"/proc/{node.process.pid}/fd")
    with ExitStack() as idle:
        for _ in range(100):  # so many at most: it has files of its own
            if number_in(descriptors) >= 100:
                break
            idle.enter_context(socket.create_connection(("127.0.0.1", node.port)))
            time.sleep(0.05)  # it may be accepted later: then the next ones make up for it
        assert answer(node, 2) == TEMPORARY_CONGESTION
        for _ in range(60):  # until none is left at all
            idle.enter_context(socket.create_connection(("127.0.0.1", node.port)))
        node.wait(lambda: number_in(descriptors) >= 127)
        node.wait(lambda: "connection_not_accepted" in node.log())
    node.wait(lambda: number_in(descriptors) < 60)
    assert answer(node, 2) == 0x0000
    assert "few_descriptors_left" in node.log()
    assert node.stop() == 0


@pytest.mark.fault("G15")
def test_a_folder_that_nobody_may_enter_is_an_alarm_and_no_end(node: ReceiveProcess) -> None:
    """Root may enter everything, unless that right is taken from it."""
    drop = "--bounding-set=-dac_override,-dac_read_search"
    if os.geteuid() == 0 and not Path("/usr/bin/setpriv").exists():
        missing_tool("setpriv")
    node.start(under=("setpriv", drop) if os.geteuid() == 0 else ())
    assert answer(node, 1) == 0x0000
    folder = node.spool().instances
    before = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o000)
    try:
        answers = [answer(node, number) for number in range(2, 40)]  # places made ahead are spent
        assert answers[-1] in (0xA700, TEMPORARY_CONGESTION)
        assert '"level": "error"' in node.log() or "level='error'" in node.log()
    finally:
        folder.chmod(before)
    assert answer(node, 40) == 0x0000
    assert node.stop() == 0


@pytest.mark.slow
@pytest.mark.fault("G13")
def test_a_slow_disk_is_said_at_the_start_and_senders_wait(
    node: ReceiveProcess, tmp_path: Path
) -> None:
    slow = ("-e", "inject=fsync,fdatasync:delay_enter=400000")
    node.start(under=strace(tmp_path / "trace", *slow))
    assert "disk_is_slow" in node.log()
    with association(node.port) as assoc:
        assert [assoc.send_c_store(ds).Status for ds in slices(3)] == [0x0000] * 3


@pytest.mark.fault("G13")
@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/spool/var", "nfs4"),
        ("/srv/spool", "nfs4"),
        ("/srv/spool2", "ext4"),
        ("/srv/with space/x", "fuse.sshfs"),
        ("/", "ext4"),
    ],
)
def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    mounts = (
        "22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:30 / /srv/spool rw shared:9 - nfs4 server:/export rw\n"
        "31 22 0:31 / /srv/with\\040space rw - fuse.sshfs host: rw\n"
        "nonsense\n"
    )
    assert kind_of(Path(folder), mounts) == kind
    assert (kind in NETWORK) == (kind != "ext4")


def test_a_disk_that_is_well_is_measured_and_left_clean(tmp_path: Path) -> None:
    assert 0 < sync_s(tmp_path) < 60
    assert list(tmp_path.iterdir()) == []
    assert sync_s(tmp_path / "nowhere") == 0.0


@pytest.mark.fault("G15")
def test_many_files_are_spread_over_folders(spool: Spool, database: Database) -> None:
    """10 million files are 40 000 a folder, which every file system takes; here it is 10 000."""
    names = []
    for _ in range(40):
        places = spool.make_places(250)
        names += [place.name for place in places]
        for place in places:
            os.write(place.descriptor, b"x")
            os.close(place.descriptor)
    with database.write() as connection:
        study_id = a_study(connection)
        rows = [
            {
                "study_id": study_id,
                "series_instance_uid": "1.2.3",
                "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
                "sop_instance_uid": f"1.2.3.{number}",
                "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                "sha256": "a" * 64,
                "size": 1,
                "file": name,
                "received_at": NOW,
            }
            for number, name in enumerate(names)
        ]
        connection.execute(insert(instance), rows)
    assert rescan(spool, database) == Found(lost=1)  # the one that a_study speaks of
    assert len({name[:2] for name in names}) > 20
    assert all(len(folder.name) == 2 for folder in spool.instances.iterdir())
