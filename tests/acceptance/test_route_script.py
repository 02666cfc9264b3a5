"""deploy/orthanc/route.lua, in a real Orthanc whose node does not answer."""

from pathlib import Path

import pytest

from tests import dicom_factory
from tests.acceptance.loopback import free_port, own_network
from tests.acceptance.orthanc import Orthanc, executable
from tests.tools import missing_tool

MARK = "SentToAiNode"


@pytest.mark.orthanc
def test_a_series_that_could_not_be_sent_is_not_taken_for_sent(tmp_path: Path) -> None:
    """It is tried again when the next image of its study has come."""
    if executable() is None:
        missing_tool("Orthanc")
    images = dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    with own_network():
        pacs = Orthanc(tmp_path / "pacs", node_port=free_port()).start()
        try:
            for image in images[:-1]:
                pacs.upload(image)
            pacs.wait(lambda: failed(pacs) == 1, timeout_s=60)
            (series,) = pacs.get("/series")
            pacs.wait(lambda: MARK not in pacs.get(f"/series/{series}/metadata"), timeout_s=20)
            pacs.upload(images[-1])
            pacs.wait(lambda: failed(pacs) == 2, timeout_s=60)
        finally:
            pacs.stop()


def failed(pacs: Orthanc) -> int:
    jobs = [pacs.get(f"/jobs/{each}") for each in pacs.get("/jobs")]
    return sum(job["State"] == "Failure" for job in jobs)
