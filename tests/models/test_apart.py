"""Work in a process of its own: what becomes of it, and what it cannot reach."""

import os
import socket
import time

import pytest

from dicom_ai_node.errors import ModelError
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
