"""Orthanc routes a study to the node, and finds SEG and SR in the same study."""

import signal
import time
from io import BytesIO
from os import kill
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from dicom_ai_node.peers.association import leave_answers
from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc

pytestmark = [pytest.mark.orthanc, pytest.mark.slow]

Road = tuple[NodeProcess, Orthanc]


def send(pacs: Orthanc, series: list[Dataset], folder: Path) -> str:
    for path in dicom_factory.write(series, folder):
        pacs.upload(path)
    return str(series[0].StudyInstanceUID)


def results(pacs: Orthanc, study: str) -> tuple[list[Dataset], list[Dataset]]:
    """SEG and SR objects of a study in the PACS."""
    found = [
        [pydicom.dcmread(BytesIO(content)) for content in pacs.instances(study, modality)]
        for modality in ("SEG", "SR")
    ]
    return found[0], found[1]


def both(pacs: Orthanc, study: str) -> bool:
    return all(results(pacs, study))


@pytest.mark.fault("D6")
def test_seg_and_sr_come_back_into_the_study_once(road: Road, tmp_path: Path) -> None:
    node, pacs = road
    node.start()
    series = dicom_factory.series(name="to-pacs-and-back")
    study = send(pacs, series, tmp_path / "images")
    pacs.wait(lambda: both(pacs, study))

    pacs.wait(lambda: pacs.instances(study, "OT"))  # the summary page

    assert len(pacs.qido(study, "SEG")) == len(pacs.qido(study, "SR")) == 1
    (seg,), _ = results(pacs, study)
    mask = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    source = hd.get_volume_from_series(series)
    np.testing.assert_array_equal(mask.match_geometry(source).array > 0, source.array == 400)

    # the study is sent again by hand, and whatever comes of it settles
    for path in sorted((tmp_path / "images").iterdir()):
        pacs.upload(path)
    ids = pacs.get("/series")
    for series_id in ids:
        if pacs.get(f"/series/{series_id}")["MainDicomTags"]["Modality"] == "CT":
            pacs.request("/modalities/ainode/store", series_id.encode())
    time.sleep(3)
    assert [len(found) for found in results(pacs, study)] == [1, 1]
    assert node.status()["jobs"]["done"] == 1
    assert node.stop() == 0


def test_left_stays_left(road: Road, tmp_path: Path) -> None:
    """The phantom's box lies on the patient's right: its LPS x is negative in the PACS too."""
    node, pacs = road
    node.start()
    series = dicom_factory.series(name="laterality")
    study = send(pacs, series, tmp_path / "images")
    pacs.wait(lambda: both(pacs, study))
    (seg,), _ = results(pacs, study)
    mask = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    centre = mask.map_indices_to_reference(np.argwhere(mask.array > 0)).mean(axis=0)
    box = hd.get_volume_from_series(series)
    expected = box.map_indices_to_reference(np.argwhere(box.array == 400)).mean(axis=0)
    np.testing.assert_allclose(centre, expected, atol=1e-3)
    assert centre[0] < -10


@pytest.mark.parametrize("stage", ["received", "queued or running", "ready"])
def test_the_whole_node_is_killed_between_stages(road: Road, tmp_path: Path, stage: str) -> None:
    node, pacs = road
    node.start()
    series = dicom_factory.series(name=f"killed-{stage}", shape=(60, 128, 128))
    paths = dicom_factory.write(series, tmp_path / "images")
    study = str(series[0].StudyInstanceUID)
    if stage == "ready":
        pacs.stop()  # nothing can be delivered
        _send_directly(node, series)
    else:
        for path in paths:
            pacs.upload(path)
    reached = {
        "received": lambda s: s["instances"] == len(series),
        "queued or running": lambda s: sum(s["jobs"].values()) > 0,
        "ready": lambda s: s["jobs"]["ready"] > 0,
    }[stage]
    node.wait(lambda: reached(node.status()))
    node.kill()
    if stage == "ready":
        pacs.start()
    node.start()
    pacs.wait(lambda: both(pacs, study), timeout_s=90)
    node.wait(lambda: node.status()["jobs"]["done"] == 1)
    assert [len(found) for found in results(pacs, study)] == [1, 1]


def test_a_role_that_dies_is_started_again(road: Road, tmp_path: Path) -> None:
    node, pacs = road
    node.start()
    listened = node.log().count("receiver_listening")
    for role in ("receive", "deliver", "web", "work"):
        before = node.wait(lambda role=role: node.pid_of(role))
        kill(before, signal.SIGKILL)
        node.wait(lambda role=role, old=before: node.pid_of(role) not in (None, old))
    node.wait(lambda: node.log().count("receiver_listening") > listened)
    study = send(pacs, dicom_factory.series(name="after-deaths"), tmp_path / "images")
    pacs.wait(lambda: both(pacs, study))


def _send_directly(node: NodeProcess, series: list[Dataset]) -> None:
    from pynetdicom import AE

    ae = AE("PACS")
    ae.add_requested_context(series[0].SOPClassUID)
    association = ae.associate("127.0.0.1", node.port, ae_title="AI_NODE")
    leave_answers(association)
    assert association.is_established
    assert [association.send_c_store(ds).Status for ds in series] == [0] * len(series)
    association.release()
