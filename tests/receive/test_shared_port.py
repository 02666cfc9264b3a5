"""Several receive processes on one port: all of them serve, and they live and die together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dicom_ai_node.database import arrivals, schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import AlreadyRunning
from dicom_ai_node.spool import RECEIVING_LOCK, Spool
from tests.acceptance.loopback import descendants, free_port
from tests.receive.scu import association, slices


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def node(tmp_path: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """`receive` with two processes; a fresh database."""
    settings = {
        "node": {
            "ae_title": "AI_NODE",
            "port": port,
            "spool": str(tmp_path / "spool"),
            "database": f"sqlite:///{tmp_path}/node.db",
            "receive_processes": 2,
            "drain_s": 2,
        },
        "accept": [{"ae_title": "PACS", "from": ["127.0.0.1"]}],
    }
    config = tmp_path / "config"
    config.mkdir()
    (config / "node.yaml").write_text(json.dumps(settings))
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "dicom_ai_node", "receive", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    wait(lambda: (tmp_path / "log").read_text().count("receiver_listening") == 2)
    yield process
    process.terminate()
    process.wait(timeout=30)


def wait(condition: object, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def send(port: int, name: str) -> list[int]:
    with association(port) as assoc:
        return [assoc.send_c_store(ds).Status for ds in slices(10, name=name)]


def count(tmp_path: Path, name: str) -> int:
    database = Database(f"sqlite:///{tmp_path}/node.db")
    assert schema.current(database) == schema.head()
    with database.read() as connection:
        found = arrivals.count_of(connection, slices(name=name)[0].StudyInstanceUID)
    database.close()
    return found


def test_both_serve_and_none_stores_twice(
    node: "subprocess.Popen[bytes]", port: int, tmp_path: Path
) -> None:
    names = [f"study {n}" for n in range(8)]
    with ThreadPoolExecutor(4) as threads:
        for statuses in threads.map(lambda name: send(port, name), [*names, *names]):
            assert statuses == [0x0000] * 10
    assert [count(tmp_path, name) for name in names] == [10] * 8
    files = [path for path in tmp_path.glob("spool/instances/??/*.dcm") if path.stat().st_size]
    assert len(files) == 80
    used = [cpu_ticks(pid) for pid in descendants(node.pid)]
    assert len(used) == 2


def test_when_one_dies_the_role_ends_and_starts_anew(
    node: "subprocess.Popen[bytes]", port: int, tmp_path: Path
) -> None:
    """What it had acknowledged may lack a row: only a rescan without receivers may look for it."""
    assert send(port, "before") == [0x0000] * 10
    os.kill(descendants(node.pid)[0], signal.SIGKILL)
    assert node.wait(timeout=30) != 0
    assert count(tmp_path, "before") == 10


def test_the_next_start_waits_for_receivers_whose_parent_was_killed(
    node: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    """What they write has no row yet, and would be taken for what a killed one left over."""
    spool, log = Spool(tmp_path / "spool"), tmp_path / "log"
    with pytest.raises(AlreadyRunning), spool.lock(RECEIVING_LOCK):
        pass  # while they live
    command = [sys.executable, "-m", "dicom_ai_node", "receive", "--config", tmp_path / "config"]
    with spool.share(RECEIVING_LOCK):  # as one of them that still writes
        node.kill()
        node.wait()
        with log.open("ab") as out:
            again = subprocess.Popen(command, stdout=out, stderr=out)
        holder = spool.locks / "receive.lock"
        wait(lambda: holder.read_text().strip() == str(again.pid))
        with pytest.raises(AssertionError):
            wait(lambda: log.read_text().count("spool_rescanned") == 2, seconds=1)
    try:
        wait(lambda: log.read_text().count("receiver_listening") == 4)
    finally:
        again.terminate()
        again.wait()


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
