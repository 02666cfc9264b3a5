"""The role `web` as a process: with the page, and where its extra is not installed."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.loopback import free_port
from tests.web.site import Visitor

WITHOUT = "raise ModuleNotFoundError('there is no fastapi', name='fastapi')\n"


class Web:
    """One that listens."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home, self.port, self.metrics = home, free_port(), free_port()
        settings = {
            "node": {
                "ae_title": "AI_NODE",
                "spool": str(home / "var"),
                "database": f"sqlite:///{home}/var/node.db",
                "models": str(home / "models"),
            },
            "web": {"port": self.port},
            "metrics": {"port": self.metrics},
        }
        (home / "config").mkdir()
        (home / "config" / "node.yaml").write_text(json.dumps(settings))
        command = [sys.executable, "-m", "dicom_ai_node", "web", "--config", str(home / "config")]
        with (home / "web.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **environment}
            )

    @property
    def log(self) -> str:
        return (self.home / "web.log").read_text()

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.splitlines()]

    def wait_for(self, event: str) -> None:
        deadline = time.monotonic() + 60
        while event not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)


@contextmanager
def running(home: Path, **environment: str) -> Iterator[Web]:
    web = Web(home, **environment)
    try:
        yield web
    finally:
        web.process.kill()
        web.process.wait()


def test_the_role_serves_the_page_and_says_where_the_first_token_is(tmp_path: Path) -> None:
    with running(tmp_path) as web:
        web.wait_for("web_token_written")
        path = tmp_path / "var" / "web-token"
        token = path.read_text().strip()
        assert str(path) in web.log
        visitor = Visitor(web.port)
        assert visitor.sign_in(token).status == 303
        assert "No job is here." in visitor.get("/").words
        assert visitor.get("/jobs/1.2.840.99999").status == 422
        web.process.terminate()
        assert web.process.wait(timeout=30) == 0
        assert token not in web.log
        assert "99999" not in web.log  # no path of a request is logged


def test_without_the_extra_it_says_so_once_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "fastapi.py").write_text(WITHOUT)
    path = f"{tmp_path / 'without'}:{os.environ.get('PYTHONPATH', '')}"
    with running(tmp_path, PYTHONPATH=path) as web:
        web.wait_for("web_page_not_installed")
        assert web.events().count("web_page_not_installed") == 1
        assert "pip install 'dicom-ai-node[web]'" in web.log
        url = f"http://127.0.0.1:{web.metrics}/health/live"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
        web.process.terminate()
        assert web.process.wait(timeout=30) == 0


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with running(tmp_path) as web:
        web.wait_for("web_page_listening")
        (tmp_path / "other").mkdir()
        other = Web(tmp_path / "other")
        settings = json.loads((other.home / "config" / "node.yaml").read_text())
        other.process.kill()
        other.process.wait()
        settings["web"]["port"] = web.port
        (other.home / "config" / "node.yaml").write_text(json.dumps(settings))
        command = [sys.executable, "-m", "dicom_ai_node", "web", "--config"]
        done = subprocess.run(
            [*command, str(other.home / "config")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert f"web.port {web.port} cannot be used" in done.stderr


@pytest.mark.parametrize("module", ["dicom_ai_node.web.server"])
def test_the_page_brings_no_model_along(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "monai", "highdicom", "dicom_ai_node.models", "dicom_ai_node.encoders"}
    assert heavy.isdisjoint(done.stdout.split())
