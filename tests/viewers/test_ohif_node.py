"""What the running node sends back to a PACS, in OHIF before that PACS's images."""

from io import BytesIO

import pydicom
import pytest
from pydicom import Dataset

from dicom_ai_node.models.installation.install import install
from tests import dicom_factory
from tests.acceptance.conftest import connected
from tests.acceptance.orthanc import Orthanc
from tests.viewers import made
from tests.viewers.room import Room

pytestmark = [pytest.mark.viewers, pytest.mark.orthanc, pytest.mark.slow]


@pytest.fixture(scope="module")
def sent_back(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Dataset], list[Dataset]]:
    """A CT, and the SEG and the report that threshold-ct makes of it."""
    home = tmp_path_factory.mktemp("node")
    install("threshold-ct", home / "store", print)
    source = made.stack("through the node", study="through the node")
    study = str(source[0].StudyInstanceUID)
    with connected(home / "road", model="threshold-ct", models=home / "store", modality="CT") as (
        node,
        pacs,
    ):
        node.start()
        for path in dicom_factory.write(source, home / "images"):
            pacs.upload(path)
        both = pacs.wait(lambda: _results(pacs, study))
    return source, both


def _results(pacs: Orthanc, study: str) -> list[Dataset]:
    """Empty until both are there."""
    found = [pacs.instances(study, modality) for modality in ("SEG", "SR")]
    every = [pydicom.dcmread(BytesIO(content)) for each in found for content in each]
    return every if all(found) else []


def test_segmentation_and_report_of_the_running_node_are_seen(
    room: Room, sent_back: tuple[list[Dataset], list[Dataset]]
) -> None:
    source, (seg, sr) = sent_back
    study = room.send(source, [seg, sr])
    room.ohif.open_study(study, "segmentation")
    room.ohif.open_series(seg.SeriesDescription)
    (segment,) = room.ohif.segments(seg.SeriesDescription, 1).values()
    bright = sum(int((ds.pixel_array == 400).sum()) for ds in source)
    assert segment.voxels == bright
    room.ohif.open_study(study)
    room.ohif.open_series(sr.SeriesDescription)
    room.ohif.wait_for_text(f"{bright * 5.0 * 2.0 * 2.0 / 1000:.2f} mL")
    assert not room.ohif.errors
    assert not room.ohif.elsewhere
