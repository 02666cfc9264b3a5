"""The receivers that `ingest` compares: how each is started, watched, and asked what it stored."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ingest_variant import DIGEST_BEGINS
from tests.acceptance import orthanc
from tests.acceptance.loopback import descendants, free_port

SENDER = "BENCHMARK"  # the calling AE title
MORE_SENDERS = tuple(f"{SENDER}{index}" for index in range(64))  # a node may limit each of them
CALLED = "AI_NODE"  # the others take any

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_ORTHANC_INSTANCE = 4  # its ResourceType


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """`stored` counts the instances of at least so many bytes, after the receiver has ended."""

    key: str
    title: str
    command: Callable[[Path, int], list[str]]  # for a home that is empty and a port
    stored: Callable[[Path, int], int]
    missing: bool = False


class Running:
    """A receiver's process, with all that it forks."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port

    def cpu_s(self) -> float:
        """Of the tree, with children that ended and were waited for."""
        return max(self._cpu_s(), self._cpu_s())  # a child may move to its parent's sum meanwhile

    def _cpu_s(self) -> float:
        return sum(_cpu_ticks(pid) for pid in self._pids()) * _TICK_S

    def peak_rss(self) -> int:
        """Bytes, of the processes that are there now."""
        return sum(_peak_rss(pid) for pid in self._pids())

    def _pids(self) -> list[int]:
        return [self.process.pid, *descendants(self.process.pid)]

    @contextmanager
    def watched(self, interval_s: float = 0.05) -> Iterator[list[int]]:
        """A list to which the peak of the memory comes; forked children take theirs with them."""
        peaks: list[int] = []
        done = threading.Event()

        def watch() -> None:
            while not done.wait(interval_s):
                peaks.append(self.peak_rss())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield peaks
        finally:
            done.set()
            thread.join()
            peaks.append(self.peak_rss())


@contextmanager
def running(receiver: Receiver, home: Path) -> Iterator[Running]:
    """Started on a free port of 127.0.0.1, and ended in order so that it can be counted."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = home / "receiver.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            receiver.command(home, port),
            stdout=output,
            stderr=output,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
    try:
        _wait_for_port(process, port, log)
        yield Running(process, port)
    finally:
        _stop(process)


def receivers() -> list[Receiver]:
    storescp = dcmtk("storescp")
    return [
        _node("node", "node"),
        _node("node-2", "node, 2 receive processes", processes=2),
        _node("node-no-sha256", "node, no SHA-256", "--no-sha256"),
        _node("node-no-sync", "node, no sync", "--no-sync"),
        _node("node-no-sync-no-sha256", "node, no sync, no SHA-256", "--no-sync", "--no-sha256"),
        Receiver(
            key="storescp",
            title="DCMTK storescp",
            command=lambda home, port: _storescp(storescp or "", home, port),
            stored=_files_stored,
            missing=storescp is None,
        ),
        Receiver(
            key="orthanc",
            title="Orthanc",
            command=_orthanc,
            stored=_orthanc_stored,
            missing=orthanc.executable() is None,
        ),
        Receiver(
            key="pynetdicom",
            title="plain pynetdicom",
            command=_pynetdicom,
            stored=_files_stored,
        ),
    ]


def dcmtk(tool: str) -> str | None:
    """Of the system: a virtual environment has pynetdicom's tools under the same names."""
    return shutil.which(tool, path=f"{os.defpath}:/usr/local/bin")


def database_of(home: Path) -> Path:
    return home / "var" / "node.db"


def _node(key: str, title: str, *without: str, processes: int = 1) -> Receiver:
    module = ["benchmarks.ingest_variant", *without] if without else ["dicom_ai_node"]

    def command(home: Path, port: int) -> list[str]:
        _configure_node(home, port, processes)
        return [sys.executable, "-m", *module, "receive", "--config", str(home / "config")]

    digest = DIGEST_BEGINS if "--no-sha256" in without else ""
    return Receiver(
        key=key,
        title=title,
        command=command,
        stored=lambda home, size: _rows_stored(database_of(home), size, digest),
    )


def _configure_node(home: Path, port: int, processes: int) -> None:
    models = home / "models"
    models.mkdir(exist_ok=True)
    settings = {  # JSON is YAML
        "node": {
            "ae_title": CALLED,
            "port": port,
            "spool": str(home / "var"),
            "database": f"sqlite:///{database_of(home)}",
            "models": str(models),
            "receive_processes": processes,
        },
        "accept": [
            {"ae_title": title, "from": ["127.0.0.1/32"]} for title in (SENDER, *MORE_SENDERS)
        ],
    }
    config = home / "config"
    config.mkdir(exist_ok=True)
    (config / "node.yaml").write_text(json.dumps(settings))


def _rows_stored(database: Path, size: int, digest: str) -> int:
    """`digest` is how the digests begin: a stand-in that was not used counts for nothing."""
    query = "SELECT count(*) FROM instance WHERE size >= ? AND sha256 LIKE ?"
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(query, (size, f"{digest}%")).fetchone()[0])


def _storescp(program: str, home: Path, port: int) -> list[str]:
    output = home / "received"
    output.mkdir()
    return [
        program,
        "--fork",
        "--bit-preserving",
        "--disable-host-lookup",
        "--max-pdu",
        "131072",
        "--output-directory",
        str(output),
        str(port),
    ]


def _pynetdicom(home: Path, port: int) -> list[str]:
    output = home / "received"
    output.mkdir()
    return [sys.executable, "-m", "benchmarks.ingest_pynetdicom", str(port), str(output)]


def _files_stored(home: Path, size: int) -> int:
    return sum(path.stat().st_size >= size for path in (home / "received").iterdir())


def _orthanc(home: Path, port: int) -> list[str]:
    """Its defaults, but for names, folders and what listens."""
    settings = {
        "Name": "benchmark",
        "StorageDirectory": str(home / "db"),
        "IndexDirectory": str(home / "db"),
        "SyncStorageArea": True,
        "HttpServerEnabled": False,
        "DicomPort": port,
        "Plugins": [],
    }
    path = home / "orthanc.json"
    path.write_text(json.dumps(settings))
    return [orthanc.executable() or "", str(path)]


def _orthanc_stored(home: Path, size: int) -> int:
    query = (
        "SELECT count(DISTINCT id) FROM AttachedFiles JOIN Resources ON internalId = id "
        "WHERE resourceType = ? AND uncompressedSize >= ?"
    )
    with closing(sqlite3.connect(home / "db" / "index")) as connection:
        return int(connection.execute(query, (_ORTHANC_INSTANCE, size)).fetchone()[0])


def _wait_for_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"a receiver ended at once:\n{log.read_text(errors='replace')}")
        if _listens(port):
            return
        time.sleep(0.05)
    raise SystemExit(f"a receiver does not listen:\n{log.read_text(errors='replace')}")


def _listens(port: int) -> bool:
    """As the kernel has it: a connection to try would count as an association for a while."""
    for table in Path("/proc/thread-self/net").glob("tcp*"):
        for line in table.read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                return True
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SystemExit("a receiver did not end within 120 s of SIGTERM") from None


def _cpu_ticks(pid: int) -> int:
    """utime + stime + cutime + cstime, proc_pid_stat(5)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1")
    except OSError:
        return 0
    return sum(int(field) for field in stat.rpartition(")")[2].split()[11:15])


def _peak_rss(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="latin-1")
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[:1] == ["VmHWM:"])
