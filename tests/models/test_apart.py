"""Work in a process of its own: what becomes of it, and what it cannot reach."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dicom_ai_node.config.expected import Expected
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.apart import apart


def crash(code: int) -> None:
    os._exit(code)


def hang(seconds: float) -> None:
    time.sleep(seconds)


def fail(text: str) -> None:
    raise ValueError(text)


def connect(port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return "no network"
    return "network"


def too_much(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def test_a_model_that_crashes_or_hangs_is_told_from_one_that_answers_wrong() -> None:
    with pytest.raises(ModelError, match="its process ended by exit status 7"):
        apart(crash, 7, timeout_s=60)
    with pytest.raises(ModelError, match=r"took longer than 0\.5 s"):
        apart(hang, 60.0, timeout_s=0.5)
    with pytest.raises(ModelError, match=r"failed with ValueError at .* fail <"):
        apart(fail, "Smith^John", timeout_s=60)
    with pytest.raises(ModelError, match="MemoryError"):
        apart(too_much, 4000, timeout_s=60, memory_mb=1000)


def test_a_process_apart_has_no_network() -> None:
    """Where the kernel lets a process leave it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert apart(connect, server.getsockname()[1], timeout_s=60) == "no network"


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.path,)


def answer_with_code(path: Path) -> Hostile:
    return Hostile(path)


def answer_with_values(path: Path) -> list[object]:
    said = Expected(outcome=Outcome.NONE)
    return [np.ones((2, 2), np.uint8), np.float32(1), said, path, {"a": (1, "b")}]


def leave_somebody_behind(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    path.write_text(str(child.pid))
    time.sleep(3600)


@pytest.mark.fault("E13")
def test_an_answer_runs_nothing_here(tmp_path: Path) -> None:
    """Code of others ran where it comes from."""
    with pytest.raises(ModelError, match="its answer cannot be read"):
        apart(answer_with_code, tmp_path / "it ran", timeout_s=60)
    assert not (tmp_path / "it ran").exists()
    array, number, said, path, plain = apart(answer_with_values, tmp_path, timeout_s=60)
    assert (array.tolist(), number, said.outcome) == ([[1, 1], [1, 1]], 1, Outcome.NONE)
    assert (path, plain) == (tmp_path, {"a": (1, "b")})


def test_what_it_has_started_ends_with_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="took longer than 10 s"):
        apart(leave_somebody_behind, tmp_path / "pid", timeout_s=10)
    status = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    deadline = time.monotonic() + 30
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)
