"""A real PACS and a real node, on a network where there is nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_ai_node.models.installation.install import install
from tests.acceptance.loopback import own_network
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc, executable
from tests.models_fixture import head_nifti, model_store  # noqa: F401 — fixtures
from tests.tools import missing_tool


@pytest.fixture(scope="session")
def threshold_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with `threshold-ct` alone, which needs no network."""
    store = tmp_path_factory.mktemp("store")
    install("threshold-ct", store, print)
    return store


@pytest.fixture
def road(tmp_path: Path, threshold_store: Path) -> Iterator[tuple[NodeProcess, Orthanc]]:
    """CT from Orthanc to threshold-ct and back to Orthanc."""
    with connected(tmp_path, model="threshold-ct", models=threshold_store, modality="CT") as both:
        yield both


@contextmanager
def connected(
    home: Path, *, model: str, models: Path, modality: str
) -> Iterator[tuple[NodeProcess, Orthanc]]:
    """A started PACS and a configured node that is not started yet, alone on their network."""
    if executable() is None:
        missing_tool("Orthanc")
    with own_network():
        node, pacs = _connect(home, model=model, models=models, modality=modality)
        try:
            yield node, pacs
        finally:
            pacs.stop()
            node.stop()


def _connect(home: Path, *, model: str, models: Path, modality: str) -> tuple[NodeProcess, Orthanc]:
    node = NodeProcess(home / "node", models=models, peers={}, routes=[])
    pacs = Orthanc(home / "pacs", node_port=node.port).start()
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
