"""A real Prometheus scrapes a real node; and what the node says of itself when a role hangs."""

import json
import os
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.loopback import free_port
from tests.acceptance.node_process import NodeProcess
from tests.observe.scraped import get, numbers
from tests.receive.scu import association, slices
from tests.tools import missing_tool

pytestmark = pytest.mark.slow


@pytest.fixture
def node(tmp_path: Path, threshold_store: Path) -> Iterator[NodeProcess]:
    made = NodeProcess(tmp_path / "node", models=threshold_store, peers={}, routes=[])
    metrics = {"metrics": {"port": made.metrics_port, "silent_s": 5}}
    made.configure(models=threshold_store, peers={}, routes=[], sections=metrics)
    try:
        yield made.start()
    finally:
        made.stop()


@contextmanager
def prometheus(home: Path, target: int) -> Iterator[str]:
    """Its address; it asks the target every second."""
    program = shutil.which("prometheus") or missing_tool("prometheus")
    home.mkdir()
    scrape = {"job_name": "dicom-ai-node", "scrape_interval": "1s"}
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]  # type: ignore[assignment]
    (home / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}))
    port = free_port()
    command = [
        str(program),
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def asked(address: str, query: str) -> list[Any]:
    """The answer of Prometheus; nothing while it has not started."""
    url = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http
            return list(json.loads(answer.read())["data"]["result"])
    except OSError:
        return []


def test_prometheus_knows_how_many_instances_were_stored(node: NodeProcess, tmp_path: Path) -> None:
    with association(node.port) as assoc:
        for ds in slices(7):
            assert assoc.send_c_store(ds).Status == 0
    with prometheus(tmp_path / "prometheus", node.metrics_port) as address:
        stored = 'dicom_ai_node_received_total{answer="stored"}'
        (found,) = node.wait(lambda: asked(address, f"{stored} == 7"))
        assert found["value"][1] == "7"
        (up,) = asked(address, 'up{job="dicom-ai-node"}')
        assert up["value"][1] == "1"
        answered = 'dicom_ai_node_instances_answered_total{calling_ae="PACS",status="0000"}'
        assert asked(address, answered)[0]["value"][1] == "7"


def test_a_role_that_hangs_or_dies_is_seen(node: NodeProcess) -> None:
    """Ready, not ready while the worker stands still, ready again; and no counter ever falls."""
    address = f"http://127.0.0.1:{node.metrics_port}"
    ready = f"{address}/health/ready"
    node.wait(lambda: get(ready).status == 200)
    worker = node.pid_of("work")
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    try:
        said = node.wait(lambda: get(ready).status == 503 and get(ready).body)
        assert said.startswith("work is silent: its loop jobs has not gone round for ")
        assert said.count("\n") == 1
        assert get(f"{address}/health/live").status == 200
        assert numbers(get(f"{address}/metrics").body)['ready{part="work"}'] == 0
    finally:
        os.kill(worker, signal.SIGCONT)
    node.wait(lambda: get(ready).status == 200)

    with association(node.port) as assoc:
        assert assoc.send_c_store(slices(1)[0]).Status == 0
    count = 'instances_answered_total{calling_ae="PACS",status="0000"}'
    assert numbers(get(f"{address}/metrics").body)[count] == 1
    files = sorted(path.name for path in (node.home / "var" / "metrics").iterdir())
    receiver = node.pid_of("receive")
    assert receiver is not None
    os.kill(receiver, signal.SIGKILL)
    node.wait(lambda: node.pid_of("receive") not in (None, receiver))
    node.wait(lambda: node.log().count("receiver_listening") == 2)
    with association(node.port) as assoc:
        assert assoc.send_c_store(slices(2)[1]).Status == 0
    assert numbers(get(f"{address}/metrics").body)[count] == 2
    assert sorted(path.name for path in (node.home / "var" / "metrics").iterdir()) == files
