"""A peer that says each byte itself, and the receiver in a process of its own that it says it to.

PDUs are those of PS3.8 9.3, command sets those of PS3.7 6.3; every length can be made to lie.
"""

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.sop_class import Verification

from dicom_ai_node.database import schema, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.header import data_of
from dicom_ai_node.spool import Spool
from tests.receive.scu import association, encoded

RQ, AC, RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
ECHO_CONTEXT, CT_CONTEXT = 1, 3

C_STORE, C_ECHO = 0x0001, 0x0030
_NO_DATA_SET, _DATA_SET = 0x0101, 0x0001


def pdu(kind: int, body: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack(">BxL", kind, len(body) if length is None else length) + body


def item(kind: int, content: bytes, *, length: int | None = None) -> bytes:
    return struct.pack(">BxH", kind, len(content) if length is None else length) + content


def context(context_id: int, sop_class: str, *syntaxes: str) -> bytes:
    """A presentation context item of an A-ASSOCIATE-RQ (PS3.8 9.3.2.2)."""
    content = item(0x30, sop_class.encode())
    content += b"".join(item(0x40, syntax.encode()) for syntax in syntaxes)
    return item(0x20, bytes((context_id, 0, 0, 0)) + content)


CONTEXTS = (
    context(ECHO_CONTEXT, str(Verification), "1.2.840.10008.1.2"),
    context(CT_CONTEXT, CTImageStorage, ExplicitVRLittleEndian),
)


def associate_rq(
    *,
    calling: bytes = b"PACS",
    called: bytes = b"AI_NODE",
    version: int = 1,
    application_context: bytes = APPLICATION_CONTEXT,
    contexts: Iterable[bytes] = CONTEXTS,
    max_length: int = 16_384,
    more: bytes = b"",
) -> bytes:
    """`more` are further items of the user information."""
    information = item(0x51, struct.pack(">L", max_length)) + item(0x52, b"1.2.3.4") + more
    body = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, application_context) + b"".join(contexts) + item(0x50, information)
    return pdu(RQ, body)


def pdv(context_id: int, control: int, data: bytes, *, length: int | None = None) -> bytes:
    size = len(data) + 2 if length is None else length
    return struct.pack(">LBB", size, context_id, control) + data


def command(field: int, *, message_id: int = 1, has_data: bool = False, **uids: str) -> bytes:
    """A whole command set; `sop_class` and `sop_instance` are what it is about."""
    values: list[tuple[int, bytes]] = []
    if "sop_class" in uids:
        values.append((0x0002, _even(uids["sop_class"])))
    values.append((0x0100, struct.pack("<H", field)))
    values.append((0x0110, struct.pack("<H", message_id)))
    if has_data:
        values.append((0x0700, struct.pack("<H", 0)))
    values.append((0x0800, struct.pack("<H", _DATA_SET if has_data else _NO_DATA_SET)))
    if "sop_instance" in uids:
        values.append((0x1000, _even(uids["sop_instance"])))
    content = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in values)
    return struct.pack("<HHLL", 0, 0, 4, len(content)) + content


def _even(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def echo_rq(message_id: int = 1) -> bytes:
    asked = command(C_ECHO, message_id=message_id, sop_class=str(Verification))
    return pdu(P_DATA, pdv(ECHO_CONTEXT, 3, asked))


def store_rq(ds: Dataset, *, message_id: int = 1) -> bytes:
    """The command of a C-STORE; its data set has to follow."""
    asked = command(
        C_STORE,
        message_id=message_id,
        has_data=True,
        sop_class=ds.SOPClassUID,
        sop_instance=ds.SOPInstanceUID,
    )
    return pdu(P_DATA, pdv(CT_CONTEXT, 3, asked))


def data_pdus(data: bytes, *, piece: int = 16_000) -> list[bytes]:
    """A data set as P-DATA-TF PDUs; the last one says that it is the last."""
    starts = range(0, len(data), piece)
    return [
        pdu(P_DATA, pdv(CT_CONTEXT, 2 if at == starts[-1] else 0, data[at : at + piece]))
        for at in starts
    ]


def status_of(answer: bytes) -> tuple[int, int, int]:
    """Command field, message ID and status of a response's command set."""
    found: dict[int, int] = {}
    at = 0
    while at < len(answer):
        _, tag, size = struct.unpack_from("<HHL", answer, at)
        if size == 2:
            (found[tag],) = struct.unpack_from("<H", answer, at + 8)
        at += 8 + size
    return found[0x0100], found[0x0120], found[0x0900]


class Peer:
    """One connection; `source` is the loopback address that it comes from."""

    def __init__(
        self, port: int, *, source: str = "127.0.0.1", receive_buffer: int | None = None
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self._came = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *data: bytes) -> "Peer":
        self.socket.sendall(b"".join(data))
        return self

    def associate(self, **request: Any) -> "Peer":
        self.say(associate_rq(**request))
        kind, _ = self.hear()
        assert kind == AC, kind
        return self

    def hear(self) -> tuple[int, bytes]:
        """The next PDU; raises ConnectionError where there is no whole one."""
        kind, length = struct.unpack(">BxL", self._take(6))
        return kind, self._take(length)

    def _take(self, size: int) -> bytes:
        while len(self._came) < size:
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("the connection ended")
            self._came += more
        taken, self._came = self._came[:size], self._came[size:]
        return taken

    def answer(self) -> tuple[int, int, int]:
        """Command field, message ID and status of the next response, however it is cut."""
        whole = b""
        while True:
            kind, body = self.hear()
            assert kind == P_DATA, (kind, body)
            length, _, control = struct.unpack_from(">LBB", body)
            assert length == len(body) - 4
            whole += body[6:]
            if control & 2:
                return status_of(whole)

    def end(self, *, within_s: float = 3, stays: bool = False) -> list[tuple[int, bytes]]:
        """Every PDU until the node closes the connection, which it must do in time; after the last
        one the requestor closes its side (PS3.8 9.2.3), or `stays`."""
        deadline = time.monotonic() + within_s
        heard = []
        try:
            while True:
                self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
                heard.append(self.hear())
                if heard[-1][0] in (RJ, RELEASE_RP) and not stays:
                    with suppress(OSError):  # the node was first
                        self.socket.shutdown(socket.SHUT_WR)
        except ConnectionError:
            assert not self._came, "half a PDU"
            return heard

    def aborted(self, *, within_s: float = 3) -> tuple[int, int]:
        """Source and reason of the A-ABORT that is the last thing heard."""
        *_, (kind, body) = self.end(within_s=within_s)
        assert kind == ABORT
        return body[2], body[3]

    def rejected(self) -> tuple[int, int, int]:
        """Result, source and diagnostic of the A-ASSOCIATE-RJ that is the only thing heard."""
        ((kind, body),) = self.end()
        assert kind == RJ
        return body[1], body[2], body[3]

    def reset(self) -> None:
        """An RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
        self.socket.close()


class ReceiverProcess:
    """`receive` as an administrator starts it; `limits` are those of the configuration."""

    def __init__(self, home: Path, *, accept: Sequence[dict[str, Any]], **limits: float) -> None:
        self.home = home
        self.spool = Spool(home / "spool")
        self.database = Database(f"sqlite:///{home}/node.db")
        schema.upgrade(self.database)
        settings = {
            "node": {
                "ae_title": "AI_NODE",
                "port": 0,
                "spool": str(self.spool.root),
                "database": f"sqlite:///{home}/node.db",
                "models": str(home / "models"),
                "drain_s": 1,
            },
            "limits": limits,
            "log": {"format": "json"},
            "accept": list(accept),
        }
        (home / "config").mkdir()
        (home / "config" / "node.yaml").write_text(json.dumps(settings))  # JSON is YAML
        command = [sys.executable, "-m", "dicom_ai_node", "receive"]
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--config", str(home / "config")], stdout=log, stderr=log
            )
        self.port = int(self.wait(lambda: self.events("receiver_listening"))[0]["ports"][0])

    @property
    def _log_file(self) -> Path:
        return self.home / "node.log"

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0
        self.database.close()

    def log(self) -> str:
        return self._log_file.read_text(encoding="ascii")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The lines of its log, of one event or of all."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if name in (None, line["event"])]

    def bugs(self) -> list[dict[str, Any]]:
        """What was logged with an exception, or as our own fault."""
        return [
            line
            for line in self.events()
            if line["level"] in ("error", "critical") or "exception" in line
        ]

    def wait(self, test: Callable[[], Any], *, timeout_s: float = 20) -> Any:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            if value := test():
                return value
            time.sleep(0.02)
        state = f"{self.descriptors()} descriptors, {self.threads()} threads"
        raise TimeoutError(f"not in time; {state}:\n{self.log()[-2000:]}")

    def rss(self) -> int:
        """Bytes in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def descriptors(self) -> int:
        """Open files and sockets, but for the places made ahead and the database's pool."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        links = []
        for entry in folder.iterdir():
            try:
                links.append(str(entry.readlink()))
            except FileNotFoundError:
                continue  # closed meanwhile
        return sum(not self._is_kept_open(link) for link in links)

    def _is_kept_open(self, link: str) -> bool:
        """What was removed and is still open is marked as deleted, and would be a leak."""
        ours = str(self.spool.instances), str(self.database.path)
        return link.startswith(ours) and not link.endswith("(deleted)")

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def is_quiet(self, *, descriptors: int, threads: int) -> bool:
        return self.descriptors() <= descriptors and self.threads() <= threads

    def files(self) -> list[Path]:
        """What holds an instance or a part of one; places made ahead are empty."""
        return [path for path in self.spool.root.rglob("*.dcm") if path.stat().st_size]

    def kept(self, study_instance_uid: str) -> dict[str, bytes]:
        """The data sets of a study, by SOP Instance UID, as its rows name them."""
        with self.database.read() as connection:
            study = studies.find(connection, study_instance_uid)
            rows = studies.instance_rows(connection, study["id"]) if study else []
        return {row["sop_instance_uid"]: self.data_of(row["file"]) for row in rows}

    def data_of(self, file: str) -> bytes:
        """The data set behind the meta group of a stored file."""
        return bytes(data_of(self.spool.instance_path(file).read_bytes()))

    def store(self, instances: Sequence[Dataset]) -> None:
        """A good study, sent by pynetdicom: acknowledged, and on disk bit for bit."""
        with association(self.port) as assoc:
            assert assoc.is_established
            for ds in instances:
                assert assoc.send_c_store(ds).Status == 0x0000
        kept = self.kept(instances[0].StudyInstanceUID)
        assert kept == {ds.SOPInstanceUID: encoded(ds) for ds in instances}
