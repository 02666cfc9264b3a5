"""A modality made of bytes, so that each of them can be wrong; and a node of its own to meet it.

PDUs (PS3.8 9.3), command sets (PS3.7 6.3.1) and data sets (PS3.5 7) are written by hand here:
a library would refuse to send most of what the fault catalogue asks for.
"""

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.header import data_of
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
BY_PROVIDER = 2
UNEXPECTED_PARAMETER, INVALID_PARAMETER = 5, 6  # reasons of an A-ABORT
COMMAND, LAST = 0x01, 0x02  # bits of a PDV's control header
C_STORE_RQ, C_FIND_RQ, C_ECHO_RQ = 0x0001, 0x0020, 0x0030
DATA_SET, NO_DATA_SET = 0x0000, 0x0101
UNDEFINED = 0xFFFFFFFF

Contexts = Mapping[int, tuple[str, Sequence[str]]]  # abstract syntax, transfer syntaxes
CT_ALONE: Contexts = {1: (CTImageStorage, [ExplicitVRLittleEndian])}

_PIECE = 16_000
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Uids:
    """Who an instance says it is."""

    sop_class: str = CTImageStorage
    sop_instance: str
    study: str
    series: str


def fresh(sop_class: str = CTImageStorage) -> Uids:
    """Of an instance that nobody has seen, in a study of its own."""
    number = next(_numbers)
    study, series, instance = (derived_uid("fault", number, level) for level in range(3))
    return Uids(sop_class=sop_class, study=study, series=series, sop_instance=instance)


_LONG_VRS = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")


def element(
    tag: int, vr: str, value: bytes, *, length: int | None = None, syntax: str = "<"
) -> bytes:
    """Explicit VR, or implicit with the VR ""; `syntax` is the byte order, as for struct."""
    length = len(value) if length is None else length
    head = struct.pack(syntax + "HH", tag >> 16, tag & 0xFFFF)
    if not vr:
        return head + struct.pack(syntax + "L", length) + value
    if vr in _LONG_VRS or not vr.isalpha() or vr == "ZZ":
        return head + vr.encode() + b"\0\0" + struct.pack(syntax + "L", length) + value
    return head + vr.encode() + struct.pack(syntax + "H", length) + value


def padded(text: str | bytes) -> bytes:
    value = text.encode() if isinstance(text, str) else text
    return value + bytes(len(value) % 2)


def identifying(uids: Uids, *, implicit: bool = False, syntax: str = "<") -> dict[int, bytes]:
    """The elements without which nothing is stored, by their tags."""
    values = {
        0x00080016: uids.sop_class,
        0x00080018: uids.sop_instance,
        0x0020000D: uids.study,
        0x0020000E: uids.series,
    }
    vr = "" if implicit else "UI"
    return {tag: element(tag, vr, padded(uid), syntax=syntax) for tag, uid in values.items()}


def data_set(uids: Uids, more: Mapping[int, bytes] | None = None, **how: Any) -> bytes:
    """Whoever `uids` says, with these elements too, in the order of their tags."""
    elements = identifying(uids, **how) | dict(more or {})
    return b"".join(elements[tag] for tag in sorted(elements))


def command(elements: Mapping[int, int | str | bytes], *, group_length: int | None = None) -> bytes:
    """A command set: numbers are US, texts are UIDs, bytes are taken as they are."""
    content = b""
    for number, value in elements.items():
        raw = struct.pack("<H", value) if isinstance(value, int) else padded(value)
        content += struct.pack("<HHL", 0, number, len(raw)) + raw
    length = len(content) if group_length is None else group_length
    return struct.pack("<HHLL", 0, 0, 4, length) + content


def c_store(uids: Uids, **changes: int | str | bytes | None) -> dict[int, int | str | bytes]:
    """The elements of a C-STORE-RQ; changes are `message_id` and the like, None takes one out."""
    said: dict[str, int | str | bytes | None] = {
        "sop_class": uids.sop_class,
        "field": C_STORE_RQ,
        "message_id": 1,
        "priority": 0,
        "data_set_type": DATA_SET,
        "sop_instance": uids.sop_instance,
    }
    said |= changes
    return {_ELEMENTS[name]: value for name, value in said.items() if value is not None}


_ELEMENTS = {
    "sop_class": 0x0002,
    "field": 0x0100,
    "message_id": 0x0110,
    "responded_to": 0x0120,
    "priority": 0x0700,
    "data_set_type": 0x0800,
    "status": 0x0900,
    "sop_instance": 0x1000,
    "move_originator": 0x1030,
    "move_message_id": 0x1031,
}


def pdv(context_id: int, control: int, data: bytes, *, length: int | None = None) -> bytes:
    size = len(data) + 2 if length is None else length
    return struct.pack(">LBB", size, context_id, control) + data


class Reply(NamedTuple):
    """A response: which message it answers, how, and what its Error Comment says."""

    message_id: int
    status: int
    comment: str


class Abort(NamedTuple):
    source: int
    reason: int


class Closed(NamedTuple):
    """The connection ended without a word."""


Answer = Reply | Abort | Closed


class RawScu:
    """An association whose every byte is the test's; `results` are those of its contexts."""

    def __init__(self, port: int, contexts: Contexts = CT_ALONE) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send_pdu(ASSOCIATE_RQ, _associate_rq(contexts))
        kind, body = self.read()
        assert kind == ASSOCIATE_AC, f"PDU type {kind}"
        self.results = dict(_results(body))

    def send_pdu(self, kind: int, body: bytes, *, length: int | None = None) -> None:
        size = len(body) if length is None else length
        self.socket.sendall(struct.pack(">BxL", kind, size) + body)

    def send(self, *pdvs: bytes) -> None:
        """One P-DATA-TF."""
        self.send_pdu(P_DATA, b"".join(pdvs))

    def send_command(
        self, elements: Mapping[int, int | str | bytes], *, context_id: int = 1
    ) -> None:
        self.send(pdv(context_id, COMMAND | LAST, command(elements)))

    def send_data(self, data: bytes, *, context_id: int = 1, is_last: bool = True) -> None:
        for at in range(0, len(data), _PIECE) or [0]:
            ends = is_last and at + _PIECE >= len(data)
            self.send(pdv(context_id, LAST if ends else 0, data[at : at + _PIECE]))

    def store(
        self,
        uids: Uids,
        data: bytes | None = None,
        *,
        context_id: int = 1,
        **changes: int | str | bytes | None,
    ) -> Answer:
        """A C-STORE with this data set, or with a good one."""
        self.send_command(c_store(uids, **changes), context_id=context_id)
        self.send_data(data_set(uids) if data is None else data, context_id=context_id)
        return self.answer()

    def read(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxL", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def answer(self) -> Answer:
        """To what was sent last."""
        try:
            kind, body = self.read()
        except (EOFError, ConnectionError):
            return Closed()
        if kind == ABORT:
            return Abort(body[2], body[3])
        assert kind == P_DATA, f"PDU type {kind}"
        length, _, control = struct.unpack(">LBB", body[:6])
        assert (length, control) == (len(body) - 4, COMMAND | LAST)
        return _reply(body[6:])

    def release(self) -> None:
        """Confirmed, so what was acknowledged is in the table."""
        self.send_pdu(RELEASE_RQ, bytes(4))
        assert self.read() == (RELEASE_RP, bytes(4))
        self.socket.close()


def _reply(content: bytes) -> Reply:
    found, at = {}, 0
    while at < len(content):
        _, number, length = struct.unpack_from("<HHL", content, at)
        found[number] = content[at + 8 : at + 8 + length]
        at += 8 + length
    message_id, status = (int.from_bytes(found[number], "little") for number in (0x0120, 0x0900))
    return Reply(message_id, status, found.get(0x0902, b"").decode("ascii").rstrip())


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _associate_rq(contexts: Contexts) -> bytes:
    content = struct.pack(">Hxx16s16s32x", 1, b"AI_NODE".ljust(16), b"PACS".ljust(16))
    content += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for context_id, (abstract, syntaxes) in contexts.items():
        named = _item(0x30, abstract.encode())
        named += b"".join(_item(0x40, syntax.encode()) for syntax in syntaxes)
        content += _item(0x20, bytes([context_id, 0, 0, 0]) + named)
    user = _item(0x51, struct.pack(">L", 16_384)) + _item(0x52, b"1.2.3.4.5")
    return content + _item(0x50, user)


def _results(body: bytes) -> Iterator[tuple[int, int]]:
    """Presentation context IDs with their results (PS3.8 9.3.3.2)."""
    at = 68
    while at < len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        if kind == 0x21:
            yield body[at + 4], body[at + 6]
        at += 4 + length


@contextmanager
def raw_association(port: int, contexts: Contexts = CT_ALONE) -> Iterator[RawScu]:
    scu = RawScu(port, contexts)
    try:
        yield scu
    finally:
        scu.socket.close()


class ReceivingNode:
    """`receive` in a process of its own, with limits of seconds; sections are added to those."""

    def __init__(self, home: Path, **sections: Any) -> None:
        self.home = home
        self.spool = Spool(home / "var")
        (home / "config").mkdir(parents=True)
        settings: dict[str, Any] = {
            "node": {
                "ae_title": "AI_NODE",
                "port": 0,
                "spool": str(home / "var"),
                "database": f"sqlite:///{home}/node.db",
                "drain_s": 1,
            },
            "limits": {"idle_s": 2, "pdu_s": 5, "connections_per_s": 1000},
            "accept": [{"ae_title": "PACS", "from": ["127.0.0.1/32"]}],
        }
        for name, section in sections.items():
            settings[name] = {**settings.get(name, {}), **section}
        self.settings = settings
        self.configure(json.dumps(settings))
        with (home / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dicom_ai_node", "receive", "--config", "config"],
                cwd=home,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=log,
                stderr=log,
            )
        self.port: int = wait(self._listens)
        self._database = Database(f"sqlite:///{home}/node.db")

    def _listens(self) -> int | None:
        assert self._process.poll() is None, self.log()
        for line in self.log().splitlines():
            if "receiver_listening" in line:
                return int(json.loads(line)["ports"][0])
        return None

    def configure(self, text: str) -> None:
        (self.home / "config" / "node.yaml").write_text(text)

    def hang_up(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = (line for line in self.log().splitlines() if line.startswith("{"))
        return [said for said in map(json.loads, lines) if said["event"] == event]

    def stop(self) -> None:
        """It must end by itself: what a test did has not broken it."""
        self._database.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            assert self._process.wait(timeout=30) == 0, self.log()
        finally:
            self._process.kill()

    def log(self) -> str:
        return (self.home / "node.log").read_text(encoding="utf-8")

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self._process.pid}/task").iterdir()))

    def peak_memory_mb(self) -> float:
        """The largest resident set so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def files(self) -> set[Path]:
        """All that lies below its home, but for the database's own."""
        found = {path.relative_to(self.home) for path in self.home.rglob("*")}
        return {path for path in found if not path.name.startswith("node.db")}

    def kept(self, uids: Uids) -> bytes | None:
        """The data set that is stored as this instance; after the release of its association."""
        with self._database.read() as connection:
            study = studies.find(connection, uids.study)
            rows = studies.instance_rows(connection, study["id"]) if study else []
            files = {row["sop_instance_uid"]: row["file"] for row in rows}
        if uids.sop_instance not in files:
            return None
        return bytes(data_of(self.spool.instance_path(files[uids.sop_instance]).read_bytes()))

    def assert_serves(self, scu: RawScu | None = None) -> None:
        """A good instance is stored: on this association, which it ends, or on a new one."""
        scu = scu or RawScu(self.port)
        good = fresh()
        assert scu.store(good, message_id=77) == Reply(77, 0x0000, "")
        scu.release()
        assert self.kept(good) == data_set(good)


@contextmanager
def receiving(home: Path, **sections: Any) -> Iterator[ReceivingNode]:
    node = ReceivingNode(home, **sections)
    try:
        yield node
    finally:
        node.stop()


def wait(test: Callable[[], Any], *, timeout_s: float = 30) -> Any:
    """What the test says, once it says something."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := test():
            return value
        time.sleep(0.02)
    raise TimeoutError
