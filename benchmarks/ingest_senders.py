"""What `ingest` sends, and its two senders: DCMTK's for rates, a bare one for times to answer."""

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, A_RELEASE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    A_RELEASE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from benchmarks.ingest_receivers import CALLED, SENDER, dcmtk
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID
from tests import dicom_factory

SHAPE = (512, 512)
PIXELS = SHAPE[0] * SHAPE[1] * 2  # bytes of one instance
MAX_PDU = 131072

_CONTEXT_ID = 1
_SOCKET_S = 1800
_SNDBUF = 65536  # as DCMTK has it: what is "sent" is not merely queued on our side

# Only the messages about the association are written, with seconds and milliseconds: storescu
# needs longer to start than a fast receiver needs for thirty instances.
_LOG = """\
log4cplus.rootLogger = WARN, out
log4cplus.logger.dcmtk.apps.storescu = INFO
log4cplus.logger.dcmtk.apps.storescu.progress = WARN
log4cplus.appender.out = log4cplus::ConsoleAppender
log4cplus.appender.out.layout = log4cplus::PatternLayout
log4cplus.appender.out.layout.ConversionPattern = %D{%s} %D{%Q} %m%n
log4cplus.appender.out.filters.1 = log4cplus::spi::StringMatchFilter
log4cplus.appender.out.filters.1.StringToMatch = Association
log4cplus.appender.out.filters.1.AcceptOnMatch = true
log4cplus.appender.out.filters.2 = log4cplus::spi::DenyAllFilter
"""


@dataclass
class Instances:
    """Part 10 files of one CT series, each named by its SOP Instance UID."""

    folder: Path
    paths: list[Path]
    _parts: dict[int, list[Path]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def parts(self, number: int) -> list[Path]:
        """Folders, one an association, with every instance in one of them."""
        if number not in self._parts:
            folders = [self.folder / f"{number}-{index}" for index in range(number)]
            for index, folder in enumerate(folders):
                folder.mkdir()
                for path in self.paths[index::number]:
                    (folder / path.name).hardlink_to(path)
            self._parts[number] = folders
        return self._parts[number]


def make_instances(folder: Path, name: str, number: int) -> Instances:
    """Noise of twelve bits; the same name makes the same UIDs."""
    pixels = np.random.default_rng(number).integers(-1024, 3072, (number, *SHAPE), np.int16)
    folder.mkdir(parents=True)
    paths = []
    for ds in dicom_factory.series(
        name=name, study="ingest", shape=pixels.shape, pixels=pixels, spacing=(1.0, 0.8, 0.8)
    ):
        paths.append(folder / f"{ds.SOPInstanceUID}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return Instances(folder, paths)


class Storescu:
    """DCMTK's sender, one process an association."""

    def __init__(self, folder: Path) -> None:
        program = dcmtk("storescu")
        if program is None:
            raise SystemExit("DCMTK's storescu is not installed: it is the sender")
        self.log = folder / "storescu.cfg"
        self.log.write_text(_LOG)
        self.command = [program, "--log-config", str(self.log), "--aetitle", SENDER]
        self.command += ["--call", CALLED, "--max-pdu", str(MAX_PDU)]
        self.command += ["--max-send-pdu", str(MAX_PDU), "--scan-directories", "127.0.0.1"]

    def send(self, port: int, folders: Sequence[Path]) -> float:
        """Seconds from the first association accepted to the last one released."""
        processes = [
            subprocess.Popen(
                [*self.command, str(port), str(folder)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, "TCP_NODELAY": "1"},
            )
            for folder in folders
        ]
        try:
            outputs = [process.communicate(timeout=_SOCKET_S)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()  # one that has ended is left alone
        for process, output in zip(processes, outputs, strict=True):
            if process.returncode or "Releasing" not in output:
                raise SystemExit(f"storescu: status {process.returncode}\n{output}")
        accepted = min(_at(output, "Association Accepted") for output in outputs)
        return max(_at(output, "Releasing Association") for output in outputs) - accepted


def _at(output: str, message: str) -> float:
    line = next(line for line in output.splitlines() if message in line)
    seconds, milliseconds = line.split()[:2]
    return int(seconds) + float(milliseconds) / 1000


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Seconds from the last byte of each instance to its answer, and of it all."""

    each: list[float]
    total: float


def time_answers(port: int, parts: Sequence[Sequence[Path]]) -> Answers:
    """One association a part, all at once; everything is encoded before the first is sent."""
    each: list[list[float]] = [[] for _ in parts]
    began: list[float] = []
    start = threading.Barrier(len(parts), action=lambda: began.append(time.perf_counter()))

    def one(index: int) -> None:
        with BareAssociation(port, CTImageStorage) as association:
            messages = [association.encoded(path) for path in parts[index]]
            start.wait()
            each[index] = [association.store([message]) for message in messages]

    at_once([partial(one, index) for index in range(len(parts))], aborted=start.abort)
    return Answers(each=[t for part in each for t in part], total=time.perf_counter() - began[0])


def at_once(
    calls: Sequence[Callable[[], None]], *, aborted: Callable[[], None] = lambda: None
) -> None:
    """Every call in a thread; the first failure is raised when all have ended."""
    failures: list[Exception] = []

    def run(call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 — raised below, in the caller's thread
            failures.append(error)
            aborted()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def append_and_sync(folder: Path, threads: int, number: int) -> float:
    """Seconds for `number` instances' bytes from each thread, each into one file of its own."""
    folder.mkdir(exist_ok=True)
    block = np.random.default_rng(0).bytes(PIXELS)
    began: list[float] = []
    start = threading.Barrier(threads, action=lambda: began.append(time.perf_counter()))

    def one(index: int) -> None:
        with (folder / f"{index}").open("wb", buffering=0) as file:
            start.wait()
            for _ in range(number):
                file.write(block)
                os.fdatasync(file.fileno())

    at_once([partial(one, index) for index in range(threads)], aborted=start.abort)
    return time.perf_counter() - began[0]


class BareAssociation:
    """A requestor of nothing but sockets: no state machine, no reactor, no sleeping."""

    def __init__(self, port: int, sop_class_uid: UID, calling: str = SENDER) -> None:
        self.calling = calling
        self.sop_class_uid = sop_class_uid
        self.socket = socket.socket()
        self.socket.settimeout(_SOCKET_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SNDBUF)
        self.socket.connect(("127.0.0.1", port))
        self.max_pdu = self._associate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        with self.socket:
            if failure is None:
                self.socket.sendall(_encoded_release())
                self._pdu(0x06)

    def _associate(self) -> int:
        """The acceptor's longest PDU, or the one that DCMTK's sender is held to."""
        self.socket.sendall(_encoded_request(self.calling, self.sop_class_uid))
        accepted = A_ASSOCIATE_AC()
        accepted.decode(self._pdu(0x02))
        (context,) = accepted.presentation_context
        if context.result != 0:
            raise RuntimeError("a receiver refused the presentation context")
        items = accepted.user_information
        return min(MAX_PDU, (items and items.maximum_length) or MAX_PDU)  # 0 is no limit

    def encoded(self, path: Path) -> bytes:
        """The C-STORE of a file, as P-DATA-TF PDUs."""
        part10 = path.read_bytes()
        group_length = int.from_bytes(part10[140:144], "little")  # PS3.10 7.1
        return b"".join(self.message(path.stem, [part10[144 + group_length :]]))

    def message(self, sop_instance_uid: str, data: Iterable[bytes]) -> Iterator[bytes]:
        """PDUs of one C-STORE, one by one: an object need never be in memory."""
        size = self.max_pdu - 6
        command = _encoded_command(self.sop_class_uid, sop_instance_uid)
        yield _p_data(command, 0b11)
        fragments = (piece[at : at + size] for piece in data for at in range(0, len(piece), size))
        last = next(fragments)
        for following in fragments:
            yield _p_data(last, 0b00)
            last = following
        yield _p_data(last, 0b10)

    def store(self, message: Iterable[bytes]) -> float:
        """Seconds from the last byte to the answer."""
        for pdus in message:
            self.socket.sendall(pdus)
        sent = time.perf_counter()
        status = self._status()
        answered = time.perf_counter()
        if status != 0x0000:
            raise RuntimeError(f"a receiver answered {status:04X}")
        return answered - sent

    def _status(self) -> int:
        command = b""
        last = False
        while not last:
            items = memoryview(self._pdu(0x04))[6:]
            while items:
                (length,) = struct.unpack_from(">L", items)
                last = bool(items[5] & 0b10)
                command += items[6 : 4 + length]
                items = items[4 + length :]
        return _status_of(command)

    def _pdu(self, expected: int) -> bytes:
        head = self._bytes(6)
        pdu = head + self._bytes(int.from_bytes(head[2:], "big"))
        if pdu[0] != expected:
            raise RuntimeError(f"a receiver sent PDU {pdu[:16].hex()}, not {expected:02x}")
        return pdu

    def _bytes(self, number: int) -> bytes:
        received = b""
        while len(received) < number:
            more = self.socket.recv(number - len(received))
            if not more:
                raise RuntimeError("a receiver closed the connection")
            received += more
        return received


def _p_data(fragment: bytes, control: int) -> bytes:
    """One PDU with one value (PS3.8 9.3.5, Annex E.2)."""
    length = len(fragment)
    return struct.pack(">BxLLBB", 0x04, length + 6, length + 2, _CONTEXT_ID, control) + fragment


def _encoded_request(calling: str, sop_class_uid: UID) -> bytes:
    context = build_context(sop_class_uid, ExplicitVRLittleEndian)
    context.context_id = _CONTEXT_ID
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = MAX_PDU
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = calling, CALLED
    primitive.presentation_context_definition_list = [context]
    primitive.user_information = [longest, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _encoded_release() -> bytes:
    pdu = A_RELEASE_RQ()
    pdu.from_primitive(A_RELEASE())
    return bytes(pdu.encode())


def _encoded_command(sop_class_uid: UID, sop_instance_uid: str) -> bytes:
    ds = Dataset()
    ds.AffectedSOPClassUID = sop_class_uid
    ds.CommandField = 0x0001
    ds.MessageID = 1
    ds.Priority = 0x0000
    ds.CommandDataSetType = 0x0001
    ds.AffectedSOPInstanceUID = sop_instance_uid
    elements = encode(ds, True, True)
    assert elements is not None
    head = Dataset()
    head.CommandGroupLength = len(elements)
    return (encode(head, True, True) or b"") + elements


def _status_of(command: bytes) -> int:
    return int(decode(BytesIO(command), True, True).Status)
