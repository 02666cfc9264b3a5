"""A real PACS and a real node, on a network where there is nobody else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.loopback import leave_the_network
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc, executable
from tests.tools import missing_tool

CATALOGUE = Path(__file__).parents[2] / "dicom_ai_node" / "models" / "catalogue"


@pytest.fixture(scope="session", autouse=True)
def own_network() -> None:
    """Where that is allowed; without it Orthanc is reachable from outside while tests run."""
    if os.geteuid() == 0:
        leave_the_network()


@pytest.fixture
def road(tmp_path: Path) -> Iterator[tuple[NodeProcess, Orthanc]]:
    """CT from Orthanc to threshold-ct and back to Orthanc."""
    if executable() is None:
        missing_tool("Orthanc")
    node, pacs = connect(tmp_path, model="threshold-ct", models=CATALOGUE, modality="CT")
    try:
        yield node, pacs
    finally:
        pacs.stop()
        node.stop()


def connect(
    home: Path, *, model: str, models: Path, modality: str, routing: bool = True
) -> tuple[NodeProcess, Orthanc]:
    """A started PACS and a configured node that is not started yet."""
    node = NodeProcess(home / "node", models=models, peers={}, routes=[])
    pacs = Orthanc(home / "pacs", node_port=node.port, routing=routing).start()
    node.configure(
        models=models,
        peers={
            "pacs": {
                "kind": "dimse",
                "ae_title": "ORTHANC",
                "host": "127.0.0.1",
                "port": pacs.dicom_port,
            }
        },
        routes=[
            {
                "model": model,
                "send_to": ["pacs"],
                "require": [{"attr": "Modality", "op": "eq", "value": modality}],
            }
        ],
    )
    return node, pacs
