"""A real head through the real model and a real PACS, with the worker killed on the way."""

import os
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import nibabel as nib
import pydicom
import pytest

from dicom_ai_node.demo.head import write_series
from tests.acceptance.conftest import connected
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.reports import volume_ml

pytestmark = [pytest.mark.orthanc, pytest.mark.weights, pytest.mark.slow]

Road = tuple[NodeProcess, Orthanc]


@pytest.fixture
def brain_road(tmp_path: Path, model_store: Path) -> Iterator[Road]:
    with connected(tmp_path, model="brain-mr", models=model_store, modality="MR") as both:
        yield both


@pytest.mark.parametrize("victim", ["work", "attempt"])
def test_a_kill_during_inference_costs_nothing_but_time(
    brain_road: Road, head_nifti: nib.Nifti1Image, tmp_path: Path, victim: str
) -> None:
    node, pacs = brain_road
    node.start()
    paths = write_series(head_nifti, tmp_path / "head")
    study = str(pydicom.dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    for path in paths:
        pacs.upload(path)
    node.wait(lambda: "attempt_started" in node.log())
    os.kill(node.wait(lambda: node.pid_of(victim)), signal.SIGKILL)

    pacs.wait(lambda: pacs.instances(study, "SR"), timeout_s=120)
    node.wait(lambda: node.status()["jobs"]["done"] == 1)
    (job,) = node.verb("jobs", "list")
    assert job["attempts"] == 2
    assert len(pacs.instances(study, "SEG")) == 1
    (report,) = pacs.instances(study, "SR")
    assert volume_ml(pydicom.dcmread(BytesIO(report))) == pytest.approx(1910, rel=0.01)
