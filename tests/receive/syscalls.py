"""`receive` in a process of its own, and what it asks of the kernel, as strace tells it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from pydicom.filereader import read_dataset

from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool
from tests.acceptance.loopback import free_port
from tests.tools import missing_tool

# what becomes of files, and what is said to peers
_TRACED = "openat,mkdir,write,pwrite64,writev,ftruncate,fdatasync,fsync,unlink,sendto"
_MAIN = "from dicom_ai_node.cli.app import main; main()"


class ReceiveProcess:
    """The role as an administrator starts it; sections of the configuration as in `node.yaml`."""

    def __init__(self, home: Path, *, spool: Path | None = None, **sections: Any) -> None:
        self.home = home
        self.port = free_port()
        self.spool_root = spool or home / "var"
        self.url = f"sqlite:///{home}/node.db"
        self.process: subprocess.Popen[bytes] | None = None
        settings: dict[str, Any] = {
            "node": {"ae_title": "AI_NODE", "port": self.port, "database": self.url},
            "accept": [{"ae_title": "PACS", "from": ["127.0.0.1/32"]}],
        }
        settings["node"] |= {"spool": str(self.spool_root), "models": str(home / "models")}
        for name, section in sections.items():
            settings[name] = {**settings.get(name, {}), **section}
        self.url = settings["node"]["database"]
        (home / "config").mkdir(parents=True)
        (home / "config" / "node.yaml").write_text(json.dumps(settings))  # JSON is YAML

    @property
    def command(self) -> list[str]:
        config = str(self.home / "config")
        return [sys.executable, "-m", "dicom_ai_node", "receive", "--config", config]

    def spool(self) -> Spool:
        return Spool(self.spool_root)

    def make_tables(self) -> None:
        with self.database() as database:
            schema.upgrade(database)

    @contextmanager
    def database(self) -> Iterator[Database]:
        opened = Database(self.url)
        try:
            yield opened
        finally:
            opened.close()

    def start(self, *, under: Sequence[str] = (), without: str = "") -> Self:
        """Until it listens; `under` is a program that runs it, `without` a call that is void."""
        before = self.log().count("receiver_listening")
        command = self.command
        if without:
            damaged = f"import os; os.{without} = lambda _: None; {_MAIN}"
            command = [sys.executable, "-c", damaged, *command[3:]]
        with (self.home / "node.log").open("ab") as log:
            self.process = subprocess.Popen([*under, *command], stdout=log, stderr=log)
        self.wait(lambda: self.log().count("receiver_listening") > before)
        return self

    def log(self) -> str:
        path = self.home / "node.log"
        return path.read_text() if path.exists() else ""

    def wait(self, test: Callable[[], Any], *, timeout_s: float = 30) -> Any:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if value := test():
                return value
            assert self.process is None or self.process.poll() is None, self.log()
            time.sleep(0.01)
        raise TimeoutError(self.log())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(timeout=60)
        self.process = None
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def strace(trace: Path, *options: str) -> list[str]:
    """The command before the traced one, which stays our child (`-D`)."""
    if shutil.which("strace") is None:
        missing_tool("strace")
    return [
        *("strace", "-D", "-f", "--seccomp-bpf", "-y", "-s", "256", "-o", str(trace)),
        *("-e", f"trace={_TRACED}", *options),
    ]


def ended(trace: Path, pid: int) -> list[str]:
    """The lines of a trace, once the traced process is gone."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lines = trace.read_text(errors="replace").splitlines()
        if any(re.match(rf"{pid}\s+\+\+\+", line) for line in lines):
            return lines
        time.sleep(0.05)
    raise TimeoutError("strace did not see the end")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One system call of one thread; the numbers of the lines where it began and returned."""

    thread: int
    name: str
    arguments: str
    result: int
    began: int
    returned: int

    def path(self) -> Path | None:
        """What the first argument, a descriptor, stands for."""
        found = re.match(r"\d+<([^>]*)>", self.arguments)
        return Path(found[1]) if found else None

    def named(self) -> Path | None:
        """The path that is an argument itself."""
        found = re.search(r'"([^"]*)"', self.arguments)
        return Path(found[1]) if found else None

    def data(self) -> bytes:
        """The beginning of what is sent or written."""
        found = re.search(r'"((?:[^"\\]|\\.)*)"', self.arguments)
        text = found[1] if found else ""
        return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


_WHOLE = re.compile(r"(\d+)\s+(\w+)\((.*)\)\s+= (-?\d+)")
_BEGUN = re.compile(r"(\d+)\s+(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+)\s+<\.\.\. (\w+) resumed>(.*)\)\s+= (-?\d+)")


def calls(lines: Iterable[str]) -> list[Call]:
    """In the order in which they began; those that never returned are left out."""
    found = []
    begun: dict[int, tuple[int, str]] = {}  # by thread: at which line, with which arguments
    for at, line in enumerate(lines):
        if whole := _WHOLE.match(line):
            thread, name, arguments, result = whole.groups()
            began = at
        elif resumed := _RESUMED.match(line):
            thread, name, arguments, result = resumed.groups()
            began, beginning = begun.pop(int(thread))
            arguments = beginning + arguments
        else:
            if unfinished := _BEGUN.match(line):
                begun[int(unfinished[1])] = at, unfinished[3]
            continue
        found.append(
            Call(
                thread=int(thread),
                name=name,
                arguments=arguments,
                result=int(result),
                began=began,
                returned=at,
            )
        )
    return sorted(found, key=lambda call: call.began)


@dataclass(frozen=True)
class Success:
    """A C-STORE-RSP of status 0000, with the instance files of its association since the last."""

    sop_instance_uid: str
    at: int  # the line at which it began to be sent
    files: tuple[Path, ...]


@dataclass
class Disk:
    """What of a folder would be there after a power cut, by a strict reading of POSIX.

    Contents count from a sync that began after the last write, entries from a sync of their folder
    that began after they were made; a sync counts once it has returned 0.
    """

    root: Path
    made: dict[Path, int] = field(default_factory=dict)  # when they had been made
    writes: dict[Path, list[int]] = field(default_factory=dict)  # when they had been written to
    synced: dict[Path, list[tuple[int, int]]] = field(default_factory=dict)  # began, returned

    def note(self, call: Call) -> None:
        path = call.path()
        if call.result < 0:
            return
        if path and call.name in ("write", "pwrite64", "writev", "ftruncate"):
            self.writes.setdefault(path, []).append(call.returned)
        elif path and call.name in ("fdatasync", "fsync"):
            self.synced.setdefault(path, []).append((call.began, call.returned))
        elif call.name == "mkdir" or (call.name == "openat" and "O_CREAT" in call.arguments):
            new = call.named()
            if new and new.is_relative_to(self.root):
                self.made.setdefault(new, call.returned)

    def holds(self, path: Path, at: int) -> bool:
        """The bytes of a file, whole."""
        last = max((write for write in self.writes.get(path, []) if write < at), default=-1)
        return self._synced_between(path, last, at)

    def has_entry(self, path: Path, at: int) -> bool:
        """The name of a file, and those of the folders on the way to it that were made here."""
        return all(
            made < at and self._synced_between(each.parent, made, at)
            for each in (path, *path.parents)
            if (made := self.made.get(each)) is not None
        )

    def _synced_between(self, path: Path, after: int, before: int) -> bool:
        return any(
            began > after and returned < before for began, returned in self.synced.get(path, [])
        )


def read_trace(traced: Sequence[Call], instances: Path) -> tuple[Disk, list[Success]]:
    """What was durable when, and each acknowledgement with the files that it speaks of.

    An association has a thread of its own, so a thread's files are those of its association.
    """
    disk = Disk(instances.parent)
    said = []
    open_files: dict[int, list[Path]] = {}
    for call in traced:
        disk.note(call)
        path = call.path()
        if call.name in ("write", "pwrite64") and path and path.is_relative_to(instances):
            files = open_files.setdefault(call.thread, [])
            if path not in files:
                files.append(path)
        elif call.name == "sendto" and (answer := store_response(call.data())) is not None:
            files = open_files.pop(call.thread, [])
            uid, status = answer
            if status == 0x0000:
                said.append(Success(uid, call.began, tuple(files)))
    return disk, said


def store_response(pdu: bytes) -> tuple[str, int] | None:
    """SOP Instance UID and status of a C-STORE-RSP in a PDU of its own."""
    if pdu[:1] != b"\x04" or len(pdu) < 12 or pdu[11] != 0x03:  # P-DATA-TF, a last command fragment
        return None
    answer = read_dataset(BytesIO(pdu[12:]), is_implicit_VR=True, is_little_endian=True)
    if answer.CommandField != 0x8001:
        return None
    return str(answer.AffectedSOPInstanceUID), int(answer.Status)


def too_early(disk: Disk, said: Sequence[Success]) -> list[str]:
    """Acknowledgements of what a power cut would have taken."""
    return [
        f"{success.sop_instance_uid} at line {success.at}: {path.name}"
        for success in said
        for path in success.files
        if not (disk.holds(path, success.at) and disk.has_entry(path, success.at))
    ] + [f"{success.sop_instance_uid}: no file" for success in said if not success.files]


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])
