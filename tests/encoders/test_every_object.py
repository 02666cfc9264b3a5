"""What holds for every object in every form, for whatever source and outcome."""

from collections.abc import Sequence
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.form import COMPANIONS, Form, ReportForm, Segmentation
from dicom_ai_node.result import Result
from tests import dicom_factory
from tests.encoders import made
from tests.standard_tables import module_errors
from tests.validators import dcentvfy, dciodvfy

FORMS = tuple(
    Form(segmentation=segmentation, report=report, companions=COMPANIONS)
    for segmentation, report in (
        (Segmentation.BINARY, ReportForm.COMPREHENSIVE_3D),
        (Segmentation.BINARY, ReportForm.COMPREHENSIVE),
        (Segmentation.BINARY, ReportForm.SPATIAL),
        (Segmentation.LABELMAP, ReportForm.COMPREHENSIVE_3D),
        (Segmentation.FRACTIONAL, ReportForm.COMPREHENSIVE_3D),
        (Segmentation.RTSTRUCT, ReportForm.COMPREHENSIVE_3D),
        (Segmentation.NONE, ReportForm.COMPREHENSIVE_3D),
    )
)
KINDS = ("seg", "sr")
SOURCES_OWN = {  # of the device that made the images, and of its images
    *("StationName", "InstitutionName", "DetectorID", "KVP", "ScanningSequence"),
    *("ProtocolName", "OperatorsName", "PerformingPhysicianName"),
}


@pytest.fixture(scope="module", params=["CT", "MR"])
def instances(request: pytest.FixtureRequest) -> list[Dataset]:
    instances = dicom_factory.series(name=f"every {request.param}", modality=request.param)
    for ds in instances:
        ds.IssuerOfPatientID, ds.PatientAge = "Issuer", "061Y"
        ds.StudyDescription, ds.StationName = "A study", "SCANNER-7"
        ds.KVP, ds.OperatorsName = "120", "Operator^The"
        ds.private_block(0x0009, "SOMEBODY", create=True).add_new(1, "LO", "secret")
    return instances


def picture(instances: Sequence[Dataset]) -> object:
    by_uid = {str(ds.SOPInstanceUID): ds for ds in instances}

    def shown(uid: str, _frame: int | None) -> NDArray[np.uint8]:
        pixels = by_uid[uid].pixel_array.astype(float)
        return np.uint8(255 * (pixels - pixels.min()) / max(np.ptp(pixels), 1))

    return shown


def every(result: Result, instances: Sequence[Dataset]) -> list[EncodedObject]:
    headers = made.without_pixels(instances)
    shown = picture(instances)
    objects = encode(result, headers, made.run(), KINDS, forms=FORMS, picture=shown)
    return [each._replace(dataset=_reread(each.dataset)) for each in objects]


@pytest.fixture(scope="module")
def objects(instances: list[Dataset]) -> list[EncodedObject]:
    return every(made.findings(instances), instances)


@pytest.mark.result_rule(1)
def test_patient_and_study_are_those_of_the_source(objects, instances):
    for kind, ds, _ in objects:
        for keyword in (*PATIENT, *STUDY):
            theirs, ours = instances[0].get(keyword), ds.get(keyword)
            assert (ours or None) == (theirs or None), (kind, keyword)


@pytest.mark.result_rule(2)
def test_a_retry_makes_the_same_bytes_and_every_object_has_uids_of_its_own(objects, instances):
    again = every(made.findings(instances), instances[::-1])
    assert [_bytes(each.dataset) for each in again] == [_bytes(each.dataset) for each in objects]
    uids = [str(each.dataset.SOPInstanceUID) for each in objects]
    assert len(set(uids)) == len(uids)
    known = {str(ds.SOPInstanceUID) for ds in instances} | {instances[0].SeriesInstanceUID}
    assert not known & {*uids, *(str(each.dataset.SeriesInstanceUID) for each in objects)}


@pytest.mark.result_rule(3)
def test_a_segmentation_or_report_is_alone_in_its_series(objects):
    series = [each.dataset.SeriesInstanceUID for each in objects if each.kind != "key_images"]
    assert len(set(series)) == len(series)


@pytest.mark.result_rule(20)
def test_the_tables_of_the_standard_find_nothing_missing_and_nothing_foreign(objects):
    assert [(each.kind, module_errors(each.dataset)) for each in objects] == [
        (each.kind, []) for each in objects
    ]


@pytest.mark.result_rule(21)
@pytest.mark.air("algorithm identification")
def test_the_model_is_named_as_contributing_equipment(objects):
    run = made.run()
    for _, ds, _ in objects:
        (equipment,) = ds.ContributingEquipmentSequence
        (purpose,) = equipment.PurposeOfReferenceCodeSequence
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("Newcode1", "99IHE")
        assert purpose.CodeMeaning == "Processing Algorithm"
        assert equipment.ManufacturerModelName == run.package.name
        assert equipment.DeviceUID == run.device_uid
        assert run.package.version in equipment.SoftwareVersions[-1]
        assert equipment.DeviceSerialNumber == run.model_sha256[:16]
    retrained = made.run(model_sha256="f" * 64)
    assert retrained.device_uid != run.device_uid


@pytest.mark.result_rule(25)
def test_nothing_of_the_scanner_and_nothing_private_goes_along(objects):
    foreign = {tag_for_keyword(keyword) for keyword in SOURCES_OWN}
    for kind, ds, _ in objects:
        for element in ds.iterall():
            assert not element.tag.is_private, kind
            assert element.is_empty or element.tag not in foreign, (kind, element.keyword)
        assert "SCANNER-7" not in str(ds)


@pytest.mark.validators
@pytest.mark.result_rule(1, 19)
def test_validators_find_no_error(objects, instances, tmp_path: Path):
    sources = dicom_factory.write(instances, tmp_path / "source")
    paths = []
    for number, (kind, ds, _) in enumerate(objects):
        path = tmp_path / f"{number}-{kind}.dcm"
        ds.save_as(path, enforce_file_format=True)
        if kind != "labelmap":  # which this build of dicom3tools does not know
            assert dciodvfy(path) == [], kind
            paths.append(path)
    assert dcentvfy([*sources, *paths]) == []


@pytest.mark.result_rule(22)
def test_every_object_says_that_it_is_for_research(objects):
    for kind, ds, _ in objects:
        assert "research use only" in ds.SeriesDescription, kind
        if kind == "sr":
            assert (ds.PreliminaryFlag, ds.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")


def test_each_form_is_whole(objects):
    """Its segmentation, its report, and what goes along."""
    for form in FORMS:
        kinds = [each.kind for each in objects if form.label in each.forms]
        assert kinds.count("sr") == 1
        if form.segmentation is not Segmentation.NONE:
            assert kinds[0] in ("seg", "labelmap", "fractional", "rtstruct")
    labels = set(chain.from_iterable(each.forms for each in objects))
    assert labels == {form.label for form in FORMS}


def _bytes(ds: Dataset) -> bytes:
    with BytesIO() as file:
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()


def _reread(ds: Dataset) -> Dataset:
    return pydicom.dcmread(BytesIO(_bytes(ds)))
