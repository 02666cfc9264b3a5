"""`kill -9` at any moment: what was acknowledged is there, once, byte for byte (P1)."""

import copy
import hashlib
import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node.header import data_of
from dicom_ai_node.uids import derived_uid
from tests.receive.scu import encoded, slices
from tests.receive.syscalls import ReceiveProcess
from tests.receive.wire_peer import RELEASE_RQ, Peer, data_pdus, pdu, store_rq

ROUNDS = 50
SENDERS = 3
A_ROUND_S = 0.7  # at the most under load, before the kill


class Succession:
    """One receiver after the other: the next one waits for the lock while this one works.

    What a supervisor does with a child that died, without the wait for Python to start.
    """

    def __init__(self, node: ReceiveProcess) -> None:
        self.node = node
        self._log = (node.home / "node.log").open("ab")
        self._listening = 0
        self._processes = [self._start(), self._start()]
        self._wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*self.node.command, "--supervised"],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
        )

    def _wait(self) -> None:
        """Until one more of them listens."""
        self._listening += 1
        deadline = time.monotonic() + 30
        while self.node.log().count("receiver_listening") < self._listening:
            assert all(process.poll() is None for process in self._processes), self.node.log()
            assert time.monotonic() < deadline, self.node.log()
            time.sleep(0.01)

    def kill(self) -> None:
        """The one that listens: whichever came to the lock first."""
        holder = int((self.node.spool_root / "locks" / "receive.lock").read_text())
        (listening,) = (process for process in self._processes if process.pid == holder)
        _end(listening)
        self._processes.remove(listening)
        self._processes.append(self._start())
        self._wait()

    def end(self) -> None:
        for process in self._processes:
            _end(process)
        self._log.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


@pytest.fixture
def succession(tmp_path: Path) -> Iterator[Succession]:
    node = ReceiveProcess(tmp_path / "node", limits={"connections_per_s": 1000})
    node.make_tables()
    running = Succession(node)
    yield running
    running.end()


class Sender(threading.Thread):
    """Sends instances of its own without an end, each until it is acknowledged."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[str, bytes] = {}
        self.statuses: set[int] = set()
        self.again = 0  # so many came twice, as their answer was lost
        self._port = port
        self._number = number
        self._stopping = threading.Event()
        (self._template,) = slices(name=f"sender {number}")
        self._under_way = self._fresh()
        self._is_out = False

    def _fresh(self) -> Dataset:
        """Every fourth is long enough for several writes."""
        count = len(self.acknowledged)
        ds = copy.deepcopy(self._template)
        ds.SOPInstanceUID = derived_uid(self._number, count)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.PixelData = ds.SOPInstanceUID.encode().ljust(600_000 if count % 4 == 0 else 64)
        return ds

    def run(self) -> None:
        while not self._stopping.is_set():
            with suppress(OSError), Peer(self._port) as peer:  # it may end before the answer
                peer.associate()
                while not self._stopping.is_set():
                    self._send(peer)
                peer.say(pdu(RELEASE_RQ, bytes(4)))
                peer.hear()
            self._stopping.wait(0.02)

    def _send(self, peer: Peer) -> None:
        self.again += self._is_out
        self._is_out = True
        ds = self._under_way
        data = encoded(ds)
        peer.say(store_rq(ds), *data_pdus(data))
        *_, status = peer.answer()
        self.statuses.add(status)
        self.acknowledged[ds.SOPInstanceUID] = data
        self._is_out = False
        self._under_way = self._fresh()

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=30)
        assert not self.is_alive()


def check(node: ReceiveProcess, senders: list[Sender]) -> None:
    """Right after a start: each acknowledged one is there, none half, none twice."""
    query = "SELECT sop_instance_uid, sha256, size, file FROM instance"
    with node.database() as database, database.read() as connection:
        rows = {uid: row for uid, *row in connection.exec_driver_sql(query)}
    spool = node.spool()
    for sender in senders:
        for uid, data in sender.acknowledged.items():
            sha256, size, _ = rows[uid]
            assert (sha256, size) == (hashlib.sha256(data).hexdigest(), len(data))
    for sha256, _, file in rows.values():
        data = data_of(spool.instance_path(file).read_bytes())
        assert hashlib.sha256(data).hexdigest() == sha256
    files = {path.name for path in spool.instance_files()}
    assert files == {file for _, _, file in rows.values()}
    assert len(files) == len(rows)
    assert list(spool.conflict.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_under_load(succession: Succession, dice: random.Random) -> None:
    node = succession.node
    senders = [Sender(node.port, number) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(ROUNDS):
        time.sleep(dice.uniform(0, A_ROUND_S))
        succession.kill()
    for sender in senders:
        sender.stop()
    succession.kill()
    check(node, senders)
    assert set().union(*(sender.statuses for sender in senders)) == {0x0000}
    # the kills did hit something: objects under way, and rows that were
    assert sum(len(sender.acknowledged) for sender in senders) > 10 * ROUNDS
    assert sum(sender.again for sender in senders) > ROUNDS / 2
    rescans = [json.loads(line) for line in node.log().splitlines() if "adopted" in line]
    assert sum(found["adopted"] for found in rescans) > ROUNDS / 2
    for problem in ("unreadable", "lost", "conflicts"):
        assert {found[problem] for found in rescans} == {0}
