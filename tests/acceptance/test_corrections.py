"""A study is moved to its right patient, as IHE IOCM has it: new UIDs, and a note for the old."""

import json
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc
from tests.intake.rejected import WORKLIST, note

pytestmark = [pytest.mark.orthanc, pytest.mark.slow]

MADE = ("SEG", "SR")


def made(pacs: Orthanc, study: str, *modalities: str) -> list[Dataset]:
    return [
        pydicom.dcmread(BytesIO(content))
        for modality in modalities
        for content in pacs.instances(study, modality)
    ]


def named(rejection: Dataset) -> set[str]:
    return {
        item.ReferencedSOPInstanceUID
        for study in rejection.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def pass_on(pacs: Orthanc, sop_instance_uid: str) -> None:
    """Orthanc sends an object to the node, as a rule of a site's may."""
    (found,) = json.loads(pacs.request("/tools/lookup", sop_instance_uid.encode()))
    pacs.request("/modalities/ainode/store", found["ID"].encode())


def test_the_old_result_is_rejected_and_the_right_patient_has_one(
    road: tuple[NodeProcess, Orthanc], tmp_path: Path
) -> None:
    """Each exactly once; and our own note, sent back by the PACS, changes nothing."""
    node, pacs = road
    node.start()
    images = dicom_factory.series(name="wrong-patient", shape=(6, 32, 32))
    for path in dicom_factory.write(images, tmp_path / "images"):
        pacs.upload(path)
    old = str(images[0].StudyInstanceUID)
    pacs.wait(lambda: len(made(pacs, old, *MADE)) == 2)
    node.wait(lambda: node.status()["jobs"]["done"] == 1)
    results = {ds.SOPInstanceUID for ds in made(pacs, old, *MADE, "OT", "PR", "KO")}

    moved = dicom_factory.series(
        name="right-patient", shape=(6, 32, 32), patient_id="RIGHT-1", patient_name="Right^Patient"
    )
    new = str(moved[0].StudyInstanceUID)
    for path in dicom_factory.write(moved, tmp_path / "moved"):
        pacs.upload(path)
    rejecting = note(WORKLIST, images)
    rejecting.save_as(tmp_path / "note.dcm", enforce_file_format=True)
    pacs.upload(tmp_path / "note.dcm")
    pass_on(pacs, rejecting.SOPInstanceUID)

    def ours() -> list[Dataset]:
        return [ds for ds in made(pacs, old, "KO") if named(ds) & results]

    pacs.wait(ours)
    pacs.wait(lambda: {ds.PatientID for ds in made(pacs, new, *MADE)} == {"RIGHT-1"})
    node.wait(lambda: node.status()["jobs"]["done"] >= 3)  # two results and a note
    (rejection,) = ours()
    assert named(rejection) >= {ds.SOPInstanceUID for ds in made(pacs, old, *MADE)}
    assert rejection.ConceptNameCodeSequence[0].CodeValue == "113037"

    jobs = len(node.verb("jobs", "list", "--notes"))
    pass_on(pacs, rejection.SOPInstanceUID)
    node.wait(lambda: node.verb("studies", "show", old)["instances"] == len(images) + 2)
    right = dicom_factory.series(name="a-good-study", shape=(6, 32, 32))
    for path in dicom_factory.write(right, tmp_path / "good"):
        pacs.upload(path)
    pacs.wait(lambda: len(made(pacs, right[0].StudyInstanceUID, *MADE)) == 2)
    node.wait(lambda: node.status()["jobs"]["done"] == jobs + 1)
    assert len(node.verb("jobs", "list", "--notes")) == jobs + 1
    assert len(ours()) == 1
    assert [len(made(pacs, new, each)) for each in MADE] == [1, 1]
    assert [len(made(pacs, old, each)) for each in MADE] == [1, 1]
    assert node.verb("studies", "show", old)["state"] == "refused"
