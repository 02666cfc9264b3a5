"""A role that a service manager runs alone: it reads the folder itself, and comes back with it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node import in_force
from dicom_ai_node.spool import Spool
from tests.acceptance.loopback import free_port


def wait(test: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := test()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5):
            return True
    except OSError:
        return False


@pytest.mark.fault("H2")
def test_a_role_alone_keeps_what_it_has_or_comes_back_in_the_same_process(tmp_path: Path) -> None:
    """Twice, so that the second reload finds a role that has come back already."""
    port = free_port()
    settings: dict[str, Any] = {
        "node": {
            "ae_title": "AI_NODE",
            "spool": str(tmp_path / "var"),
            "database": f"sqlite:///{tmp_path}/node.db",
        },
        "metrics": {"port": port},
        "web": {"port": None},
    }
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "node.yaml"
    file.write_text(json.dumps(settings))
    spool = Spool(tmp_path / "var")
    command = [sys.executable, "-m", "dicom_ai_node", "web", "--config", str(file.parent)]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        wait(lambda: answers(port))
        file.write_text("node: [")
        process.send_signal(signal.SIGHUP)
        wait(lambda: "configuration_not_reloaded" in (tmp_path / "log").read_text())
        assert answers(port)
        for number, days in enumerate((3, 4), start=1):
            file.write_text(json.dumps({**settings, "delivery": {"max_age_days": days}}))
            os.kill(process.pid, signal.SIGHUP)

            def runs_with(days: int = days) -> bool:
                said = in_force.find(spool, "web")
                return said is not None and said.runs and said.config.delivery.max_age_days == days

            wait(runs_with)
            wait(lambda: answers(port))
            assert spool.holder("web") == process.pid
            assert (tmp_path / "log").read_text().count("configuration_reloaded") == number
        process.terminate()
        assert process.wait(timeout=60) == 0
