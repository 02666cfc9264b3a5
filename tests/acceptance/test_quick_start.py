"""docs/quick-start.md does what it says: from no configuration to a result in Orthanc."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest

from dicom_ai_node.demo.head import write_series
from tests.acceptance.loopback import own_network
from tests.acceptance.orthanc import executable
from tests.config.processes import ROOT, verb
from tests.tools import missing_tool

PAGE = (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8")
ORTHANC = "http://127.0.0.1:8043"

pytestmark = [pytest.mark.orthanc, pytest.mark.weights, pytest.mark.slow]


def command(begin: str) -> str:
    """The line of the page that begins so, without what stands around it."""
    found = [
        line
        for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
        for line in block.splitlines()
        if line.startswith(begin)
    ]
    assert found, f"the page has no line that begins with {begin}"
    return found[0]


def answers() -> str:
    """What the table of the page says to type, one a line."""
    rows = re.findall(r"^\| .+? \| (.+?) \|$", PAGE, re.MULTILINE)
    words = [word.strip(" `") for row in rows for word in row.split(",")]
    typed = [word for word in words if word not in ("you answer", "---")]
    assert len(typed) == 9
    return "".join("\n" if word == "Return" else f"{word}\n" for word in typed)


def get(path: str) -> Any:
    with urllib.request.urlopen(f"{ORTHANC}{path}", timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read())


def wait(test: Callable[[], Any], *, timeout_s: float) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if value := test():
                return value
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("it did not come about in time")


@contextmanager
def background(line: str, home: Path, name: str, **environ: str) -> Iterator[Path]:
    """A line of the page in a terminal of its own, until Ctrl-C; its output."""
    words = line.split()
    if words[0] == "dicom-ai-node":
        words = [sys.executable, "-m", "dicom_ai_node", *words[1:]]
    log = home / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            words,
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@pytest.mark.timeout(400)
def test_the_page_leads_to_a_result_in_orthanc(
    tmp_path: Path, model_store: Path, head_nifti: nib.Nifti1Image
) -> None:
    """Its own commands, answers, files and ports; the model and the head are here already."""
    if executable() is None:
        missing_tool("Orthanc")
    shutil.copytree(ROOT / "deploy" / "orthanc", tmp_path / "dicom_ai_node" / "deploy" / "orthanc")
    home = tmp_path / "node"
    home.mkdir()
    (home / "models").symlink_to(model_store)
    quick = {"DICOM_AI_NODE__STUDY__QUIET_S": "1"}
    with own_network(), background(command("/usr/sbin/Orthanc"), home, "orthanc"):
        wait(lambda: get("/system"), timeout_s=40)
        said = verb(*command("dicom-ai-node setup").split()[1:], cwd=home, stdin=answers())
        assert said.returncode == 0, (said.stdout, said.stderr)
        assert "answers" in said.stdout
        checked = verb(*command("dicom-ai-node check").split()[1:], cwd=home)
        assert checked.returncode == 0, (checked.stdout, checked.stderr)
        with background(command("dicom-ai-node run"), home, "node", **quick) as log:
            wait(lambda: "receiver_listening" in log.read_text(), timeout_s=60)
            write_series(head_nifti, home / "head")
            sent = subprocess.run(
                ["bash", "-c", command("for file in head")], cwd=home, timeout=120, check=True
            )
            assert sent.returncode == 0
            wait(lambda: modalities() >= {"MR", "SEG", "SR", "OT"}, timeout_s=180)
            listed = verb(*command("dicom-ai-node jobs list").split()[1:], "--json", cwd=home)
            assert [job["state"] for job in json.loads(listed.stdout)] == ["done"]
            assert (home / "var" / "web-token").stat().st_mode & 0o077 == 0


def modalities() -> set[str]:
    return {get(f"/series/{each}")["MainDicomTags"]["Modality"] for each in get("/series")}
