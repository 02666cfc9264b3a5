"""The demo as a person starts it: it ends by itself, and takes its processes along."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread

from dicom_ai_node.demo.home import open_home
from tests.acceptance.loopback import descendants

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture
def home(tmp_path: Path, wheel: Path) -> Path:
    """A folder that an earlier demo left, so that nothing is fetched."""
    with open_home(tmp_path / "demo") as home:
        home.wheels.mkdir()
        shutil.copy(wheel, home.wheels)
    return home.root


@pytest.fixture
def started(home: Path, model_store: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Demos that a test starts with `start()`; none is left when it fails."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()


def start(
    started: list[subprocess.Popen[str]], home: Path, models: Path, *options: str
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dicom_ai_node", "demo", "--dir", str(home), *options],
        env={
            **os.environ,
            "DICOM_AI_NODE__NODE__MODELS": str(models),
            "PIP_NO_INDEX": "1",  # and no network for pip, should it be asked
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started.append(process)
    return process


def test_the_demo_twice(
    home: Path, model_store: Path, started: list[subprocess.Popen[str]]
) -> None:
    """The volume that is known of this head, its results, the picture; and all of it again."""
    for _ in range(2):
        began = time.monotonic()
        process = start(started, home, model_store)
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        assert time.monotonic() - began < 200
        found = re.search(r"Brain volume +([\d,]+) mL", output)
        assert found, output
        assert int(found[1].replace(",", "")) == pytest.approx(1910, rel=0.01)
        kinds = {dcmread(path).Modality for path in (home / "archive").iterdir()}
        assert kinds == {"SEG", "SR", "OT"}
        with Image.open(home / "montage.png") as picture:
            assert min(picture.size) > 800
        for stage in ("received", "complete", "queued", "loaded", "inferred", "encoded"):
            assert re.search(rf"{stage} .* \d+\.\d\d", output), output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_told_to_stop_leaves_no_process(
    number: signal.Signals,
    home: Path,
    model_store: Path,
    started: list[subprocess.Popen[str]],
) -> None:
    process = start(started, home, model_store)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Sending"):
            break
    below = descendants(process.pid)
    assert len(below) >= 5, process.stdout.read()  # the node and its four roles
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert [pid for pid in below if _lives(pid)] == []


def test_a_demo_that_stays_is_ended_by_ctrl_c(
    home: Path, model_store: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(started, home, model_store, "--stay")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Look inside"):
            break
    below = descendants(process.pid)
    assert below
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert [pid for pid in below if _lives(pid)] == []


def test_a_demo_whose_node_dies_says_so_and_where_the_log_is(
    home: Path, model_store: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(started, home, model_store)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Waiting"):
            break
    below = descendants(process.pid)
    os.kill(below[0], signal.SIGKILL)  # its roles end by themselves
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert f"the node ended with status -9; its log is {home / 'node.log'}" in output
    assert "receiver_listening" in output
    assert "run the demo again" in output
    wait_until(lambda: not any(_lives(pid) for pid in below))


def wait_until(test: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
