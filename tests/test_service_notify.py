"""systemd hears that the node is ready, that it is alive, and that it stops: from a real socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_ai_node.service_notify import ServiceNotify
from tests.acceptance.bright import install_bright, route
from tests.acceptance.loopback import free_port


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of the line at which systemd listens, at `notify` below the test's folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(60)
        yield line


def _heard(line: socket.socket) -> str:
    return line.recv(1024).decode()


def test_who_waits_is_ready_then_alive_then_stopping(
    systemd: socket.socket, tmp_path: Path
) -> None:
    stop = threading.Event()
    notified = ServiceNotify(
        stop, {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}
    )
    for _ in range(3):
        notified.wait(0.02)
    notified.set()
    notified.wait()

    heard = [_heard(systemd) for _ in range(3)]
    assert heard[:2] == ["READY=1", "WATCHDOG=1"]
    while heard[-1] == "WATCHDOG=1":
        heard.append(_heard(systemd))
    assert heard[-1] == "STOPPING=1"
    assert stop.is_set()
    assert notified.is_set()


def test_without_systemd_it_is_an_event(tmp_path: Path) -> None:
    notified = ServiceNotify(threading.Event(), {})
    assert not notified.wait(0.001)
    notified.set()
    assert notified.wait()


def test_a_line_at_which_nobody_listens_ends_nothing(tmp_path: Path) -> None:
    notified = ServiceNotify(threading.Event(), {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not notified.wait(0.001)


def test_an_abstract_address_is_understood() -> None:
    name = f"dicom-ai-node-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name}")
        line.settimeout(5)
        ServiceNotify(threading.Event(), {"NOTIFY_SOCKET": f"@{name}"}).wait(0.001)
        assert _heard(line) == "READY=1"


def test_run_is_a_service_that_notifies(systemd: socket.socket, tmp_path: Path) -> None:
    settings = {
        "node": {
            "ae_title": "AI_NODE",
            "port": free_port(),
            "spool": str(tmp_path / "var"),
            "database": f"sqlite:///{tmp_path}/var/node.db",
            "models": str(install_bright(tmp_path)),
        },
        "web": {"port": None},
        "metrics": {"port": free_port()},
        "accept": [{"ae_title": "PACS", "from": ["127.0.0.1/32"]}],
        "peers": {"archive": {"kind": "folder", "path": str(tmp_path / "results")}},
        "routes": [route("archive")],
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "node.yaml").write_text(json.dumps(settings))
    environment = {
        **os.environ,
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "1000000",
    }
    command = [sys.executable, "-m", "dicom_ai_node", "run", "--config", str(tmp_path / "config")]
    with (tmp_path / "log").open("wb") as log:
        node = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        assert _heard(systemd) == "READY=1"
        assert _heard(systemd) == "WATCHDOG=1"
        node.send_signal(signal.SIGTERM)
        assert node.wait(timeout=60) == 0
        heard = _heard(systemd)
        while heard == "WATCHDOG=1":
            heard = _heard(systemd)
        assert heard == "STOPPING=1"
    finally:
        node.kill()
        node.wait()
