"""What real senders say, mutated: a seeded fuzzer of the upper layer and of DIMSE.

A capture is the sequence of PDUs that a storage SCU really sent, recorded by a proxy in between.
Mutated, it is said to a receiver in a process of its own: before an association, within one, and
within a C-STORE. Afterwards that process is alive, as large as before, has logged no bug, and still
has every instance that it acknowledged.
"""

import hashlib
import logging
import os
import random
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage
from pynetdicom import build_context

from dicom_ai_node.uids import derived_uid
from tests.dicom_factory import series
from tests.receive.scu import association, encoded, slices
from tests.receive.wire_peer import (
    AC,
    P_DATA,
    Peer,
    ReceiverProcess,
    data_pdus,
    status_of,
    store_rq,
)

log = logging.getLogger(__name__)

SEED = int(os.environ.get("FUZZ_SEED", "20260102"))
PDUS = int(os.environ.get("FUZZ_PDUS", "60000"))
THREADS = 4
MB = 1 << 20
MAY_GROW = 30 * MB
_STORESCU = Path("/usr/bin/storescu")  # pynetdicom has a namesake

_LENGTHS = (0, 1, 2, 3, 5, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass
class Recorder:
    """A TCP proxy that keeps what the client says; one connection after the other."""

    port: int  # where the node listens
    said: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.own_port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                with client, socket.create_connection(("127.0.0.1", self.port)) as node:
                    back = threading.Thread(target=_pass_on, args=(node, client))
                    back.start()
                    self.said.append(_pass_on(client, node))
                    back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> bytes:
    passed = b""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            passed += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    return passed


def pdus_of(said: bytes) -> list[bytes]:
    """A stream cut into its PDUs."""
    found, at = [], 0
    while at < len(said):
        (length,) = struct.unpack_from(">L", said, at + 2)
        found.append(said[at : at + 6 + length])
        at += 6 + length
    return found


def with_dcmtk(port: int, instances: Sequence[Dataset], folder: Path) -> None:
    """`storescu`, which proposes many contexts and sends other PDUs than pynetdicom does."""
    paths = []
    for number, ds in enumerate(instances):
        paths.append(folder / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    call = [_STORESCU, "-aet", "PACS", "-aec", "AI_NODE", "127.0.0.1", str(port)]
    subprocess.run([*call, *paths], check=True, capture_output=True)


@dataclass(frozen=True)
class Captures:
    """What was said before an association was there, and in it, one list for each sender."""

    requests: list[bytes]
    talks: list[list[bytes]]

    @property
    def all(self) -> list[bytes]:
        return [*self.requests, *(each for talk in self.talks for each in talk)]


def record(node: ReceiverProcess, folder: Path) -> Captures:
    with Recorder(node.port) as proxy:
        ct = series(name="captured ct", shape=(3, 24, 24))
        mr = series(name="captured mr", shape=(2, 16, 16), modality="MR")
        kinds = [build_context(CTImageStorage), build_context(MRImageStorage)]
        with association(proxy.own_port, [*kinds, build_context("1.2.840.10008.1.1")]) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
            assert [assoc.send_c_store(ds).Status for ds in (*ct, *mr)] == [0] * 5
        if _STORESCU.exists():
            with_dcmtk(proxy.own_port, series(name="by dcmtk", shape=(3, 32, 32)), folder)
    captured = [pdus_of(said) for said in proxy.said]
    return Captures([pdus[0] for pdus in captured], [pdus[1:-1] for pdus in captured])


class Mutator:
    """Makes of some bytes other bytes; everything follows from one random generator."""

    def __init__(self, chance: random.Random, captures: Captures) -> None:
        self._chance = chance
        self._everything = captures.all

    def mutated(self, original: bytes) -> bytes:
        data = bytearray(original)
        for _ in range(self._chance.choice((1, 1, 1, 2, 4))):
            if data:
                self._chance.choice(self.KINDS)(self, data)
        return bytes(data)

    def _place(self, data: bytearray) -> int:
        """Somewhere, and most often where the structure is."""
        head = min(len(data), self._chance.choice((6, 12, 100, 400, len(data))))
        return self._chance.randrange(head)

    def _flip(self, data: bytearray) -> None:
        for _ in range(self._chance.choice((1, 1, 2, 8))):
            data[self._place(data)] ^= 1 << self._chance.randrange(8)

    def _set(self, data: bytearray) -> None:
        data[self._place(data)] = self._chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x10, 0x20, 0x50))

    def _length(self, data: bytearray) -> None:
        """A number in the place of another one: big or little endian, two or four bytes."""
        at = self._place(data)
        form = self._chance.choice((">H", "<H", ">L", "<L"))
        packed = struct.pack(form, self._chance.choice(_LENGTHS) & (0xFFFF if "H" in form else -1))
        data[at : at + len(packed)] = packed

    def _pdu_length(self, data: bytearray) -> None:
        near = len(data) - 6 + self._chance.randrange(-8, 9)
        length = self._chance.choice((near, near, near, *_LENGTHS))
        data[2:6] = struct.pack(">L", max(length, 0))

    def _truncate(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def _duplicate(self, data: bytearray) -> None:
        at = self._place(data)
        data[at:at] = data[at : at + self._chance.randrange(1, 200)]

    def _swap(self, data: bytearray) -> None:
        size = self._chance.randrange(1, 60)
        one, other = sorted((self._place(data), self._place(data)))
        if one + size <= other:
            data[one : one + size], data[other : other + size] = (
                data[other : other + size],
                data[one : one + size],
            )

    def _splice(self, data: bytearray) -> None:
        """The beginning of this one, and the end of another one."""
        other = self._chance.choice(self._everything)
        data[self._place(data) :] = other[self._chance.randrange(len(other)) :]

    def _type(self, data: bytearray) -> None:
        data[0] = self._chance.randrange(10)

    def _fitted(self, data: bytearray) -> None:
        """Whatever else it is: as long as it says."""
        if len(data) >= 6:
            data[2:6] = struct.pack(">L", len(data) - 6)

    KINDS = (
        *(_flip, _flip, _flip, _set, _length, _length, _pdu_length, _truncate),
        *(_duplicate, _swap, _splice, _type, _fitted, _fitted),
    )


class Fuzzer:
    """One thread's share; `acknowledged` are SHA-256 by SOP Instance UID."""

    def __init__(self, port: int, seed: int, captures: Captures, budget: int) -> None:
        self._port = port
        self._chance = random.Random(seed)  # noqa: S311 — for bytes, not for secrets
        self._seed = seed
        self._captures = captures
        self._mutator = Mutator(self._chance, captures)
        self._budget = budget
        self.said = self.mutated = 0
        self.connections = 0
        self.heard: Counter[str] = Counter()
        self.acknowledged: dict[str, str] = {}

    def run(self) -> "Fuzzer":
        while self.said < self._budget:
            scene = self._chance.choice(
                (self._before, self._within, self._within, self._in_an_object)
            )
            self.connections += 1
            with suppress(ConnectionError), Peer(self._port) as peer:
                peer.socket.settimeout(20)  # longer: a hang
                scene(peer)
        return self

    def _mutated(self, data: bytes) -> bytes:
        self.mutated += 1
        return self._mutator.mutated(data)

    def _say(self, peer: Peer, data: bytes) -> None:
        self.said += 1
        peer.say(data)

    def _leave(self, peer: Peer) -> None:
        """End our side, and hear the node's: it must not keep a connection that is over."""
        if self._chance.random() < 0.05:
            peer.reset()
            return
        with suppress(OSError):  # it closed its side already
            peer.socket.shutdown(socket.SHUT_WR)
        for kind, _ in peer.end(within_s=20):
            self.heard[f"PDU {kind}"] += 1

    def _before(self, peer: Peer) -> None:
        request = self._chance.choice(self._captures.requests)
        with suppress(ConnectionError):
            self._say(peer, self._mutated(request))
        self._leave(peer)

    def _associated(self, peer: Peer) -> list[bytes]:
        """An association as the capture began it, and what was said in it."""
        number = self._chance.randrange(len(self._captures.talks))
        peer.say(self._captures.requests[number])
        kind, _ = peer.hear()
        assert kind == AC
        return self._captures.talks[number]

    def _within(self, peer: Peer) -> None:
        """PDUs of the capture in their order or not, one in three mutated, until it is over."""
        talk = self._associated(peer)
        at = self._chance.randrange(len(talk))
        with suppress(ConnectionError):
            for _ in range(30):
                if self._chance.random() < 0.1:
                    at = self._chance.randrange(len(talk))
                said = talk[at % len(talk)]
                at += 1
                is_mutated = self._chance.random() < 0.7
                self._say(peer, self._mutated(said) if is_mutated else said)
        self._leave(peer)

    def _in_an_object(self, peer: Peer) -> None:
        """An object of this thread's own, some bits of whose data set or PDUs are others."""
        peer.associate()
        for number in range(5):
            (ds,) = slices(name=f"fuzz {self._seed}")
            ds.SOPInstanceUID = derived_uid("fuzz", self._seed, self.said, number)
            uid, data = str(ds.SOPInstanceUID), encoded(ds)
            if self._chance.random() < 0.5:
                data = self._mutated(data)
            pieces = data_pdus(data, piece=self._chance.choice((64, 200, 16_000)))[:200]
            cut = self._chance.randrange(len(pieces) + 1)
            is_whole = self._chance.random() < 0.5
            if not is_whole:
                pieces[cut:] = [self._mutated(each) for each in pieces[cut : cut + 3]]
            self._say(peer, store_rq(ds))
            for piece in pieces:
                self._say(peer, piece)
            if not is_whole:
                return self._leave(peer)
            kind, body = peer.hear()
            if kind != P_DATA:
                self.heard[f"PDU {kind}"] += 1
                return None
            _, _, status = status_of(body[6:])
            self.heard[f"{status:04X}"] += 1
            if status == 0:
                self.acknowledged[uid] = hashlib.sha256(data).hexdigest()
        return self._leave(peer)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceiverProcess]:
    started = ReceiverProcess(
        tmp_path,
        accept=[{"ae_title": "PACS", "from": ["127.0.0.0/8"]}],
        pdu_s=5,
        request_s=5,
        idle_s=5,
        connections_per_s=100_000,
    )
    try:
        yield started
    finally:
        started.stop()


def stored_digests(node: ReceiverProcess) -> dict[str, str]:
    """SHA-256 of each data set on disk, by the SOP Instance UID of its row."""
    with node.database.read() as connection:
        rows = connection.exec_driver_sql("select sop_instance_uid, file from instance").all()
    return {uid: hashlib.sha256(node.data_of(file)).hexdigest() for uid, file in rows}


def fuzz(node: ReceiverProcess, captures: Captures, seed: int, budget: int) -> list[Fuzzer]:
    shares = [
        Fuzzer(node.port, seed * 1000 + number, captures, budget // THREADS)
        for number in range(THREADS)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(Fuzzer.run, shares))


@pytest.mark.slow
@pytest.mark.fault("C17")
@pytest.mark.timeout(600)
def test_mutated_captures_do_no_harm(node: ReceiverProcess, tmp_path: Path) -> None:
    captures = record(node, tmp_path)
    node.store(slices(3, name="before"))
    descriptors, threads = node.descriptors(), node.threads()
    fuzz(node, captures, SEED + 1, PDUS // 6)  # a warm-up: what is loaded late, and arenas
    node.wait(lambda: node.is_quiet(descriptors=descriptors, threads=threads), timeout_s=30)
    rss = node.rss()
    began_at = time.monotonic()
    done = fuzz(node, captures, SEED, PDUS)
    took_s = time.monotonic() - began_at
    node.wait(lambda: node.is_quiet(descriptors=descriptors, threads=threads), timeout_s=30)
    said, mutated = sum(each.said for each in done), sum(each.mutated for each in done)
    heard = sum((each.heard for each in done), Counter())
    log.info(
        "seed %d: %d PDUs, %d mutated, %d connections, %.0f s; RSS %d -> %d MB; heard %s",
        *(SEED, said, mutated, sum(each.connections for each in done), took_s),
        *(rss // MB, node.rss() // MB, dict(heard)),
    )
    assert mutated >= PDUS // 4
    assert node.bugs() == []
    assert node.rss() < rss + MAY_GROW
    acknowledged = {uid: digest for each in done for uid, digest in each.acknowledged.items()}
    assert acknowledged
    with suppress(TimeoutError):  # rows follow their files
        node.wait(lambda: acknowledged.items() <= stored_digests(node).items(), timeout_s=5)
    kept = stored_digests(node)
    assert {uid: kept.get(uid) for uid in acknowledged} == acknowledged
    node.store(slices(3, name="afterwards"))
