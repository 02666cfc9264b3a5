"""A study from a real PACS closes on its counts, and a late image makes a new revision."""

import copy
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc

pytestmark = [pytest.mark.orthanc, pytest.mark.slow]

LATE = 12


def reports(pacs: Orthanc, study: str) -> list[Dataset]:
    return [pydicom.dcmread(BytesIO(content)) for content in pacs.instances(study, "SR")]


def test_the_counts_of_the_pacs_close_a_study_and_a_late_image_opens_it_again(
    road: tuple[NodeProcess, Orthanc], threshold_store: Path, tmp_path: Path
) -> None:
    """Quiet time would be ten minutes. The result of the first half is in the PACS by then."""
    node, pacs = road
    node.configure(
        models=threshold_store,
        peers={
            "pacs": {
                "kind": "dimse",
                "ae_title": "ORTHANC",
                "host": "127.0.0.1",
                "port": pacs.dicom_port,
            }
        },
        routes=[{"model": "threshold-ct", "send_to": ["pacs"]}],
        complete={"ask": "pacs", "final": True, "quiet_s": 600},
    )
    node.start()
    images = [copy.deepcopy(ds) for ds in dicom_factory.series(shape=(LATE + 1, 48, 40))]
    paths = dicom_factory.write(images, tmp_path / "images")
    study = images[0].StudyInstanceUID
    for path in paths[:LATE]:
        pacs.upload(path)
    pacs.wait(lambda: len(reports(pacs, study)) == 1)
    shown = node.verb("studies", "explain", study)
    assert shown["evidence"] == f"all {LATE} images of 1 series are here, as pacs counts them"

    pacs.upload(paths[LATE])
    pacs.wait(lambda: len(reports(pacs, study)) == 2)
    assert node.verb("studies", "explain", study)["revision"] == 2
    first, second = sorted(
        reports(pacs, study), key=lambda ds: "PredecessorDocumentsSequence" in ds
    )
    (of_study,) = second.PredecessorDocumentsSequence
    (document,) = of_study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in first
