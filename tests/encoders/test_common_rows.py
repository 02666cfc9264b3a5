"""What holds of every object, whichever its kind: whose it is, who made it, what it names."""

from io import BytesIO

import numpy as np
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.form import Form, Kind, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import MapKind, Result, ResultMap
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dcentvfy, dciodvfy

KINDS = (Kind.RTSTRUCT, Kind.PRESENTATION, Kind.KEY_OBJECTS, Kind.PM)
FORM = Form(segmentation=Segmentation.RTSTRUCT, companions=(Kind.PRESENTATION, Kind.KEY_OBJECTS))
OF_THE_DEVICE = (
    *("StationName", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
    *("PerformedStationAETitle", "OperatorsName", "ProtocolName", "DeviceUID", "KVP"),
)
OF_THE_PIXELS = ("PixelData", "BitsStored", "SmallestImagePixelValue", "WindowCenter")


@pytest.fixture(scope="module")
def instances():
    """With all that must not go further: the scanner's names, private attributes, a laterality."""
    found = dicom_factory.series(name="rows", shape=(6, 24, 20))
    for ds in found:
        ds.InstitutionName, ds.StationName = "Phantom Hospital", "SCANNER7"
        ds.DeviceSerialNumber, ds.ManufacturerModelName = "4711", "Phantom 3000"
        ds.ProtocolName, ds.SoftwareVersions, ds.DeviceUID = "Chest", "A1", "1.2.3.4"
        ds.PerformedStationAETitle = "SCANNER7"
        ds.WindowCenter, ds.WindowWidth = "40", "400"
        ds.SmallestImagePixelValue = -900
        ds.PatientWeight, ds.AdmissionID = "70", "ADM-1"
        block = ds.private_block(0x0029, "PHANTOM HEADER", create=True)
        block.add_new(0x10, "LO", "private")
    return found


@pytest.fixture(scope="module")
def result(instances):
    found = made.findings(instances)
    (mask,) = found.masks
    values = np.random.default_rng(2).random(mask.spatial_shape, dtype=np.float32)
    volume = mask.with_array(values)
    return Result(
        outcome=Outcome.FINDINGS,
        masks=found.masks,
        segments=found.segments,
        findings=found.findings,
        maps=(ResultMap(kind=MapKind.SALIENCY, label="Saliency", volume=volume),),
    )


def run_of(result, instances, this_run=None):
    headers = made.without_pixels(instances)
    return encode(result, headers, this_run or made.run(), ("seg", "sr"), forms=[FORM])


@pytest.fixture(scope="module")
def objects(result, instances):
    return {each.kind: made.reread(each.dataset) for each in run_of(result, instances)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.result_rule(1)
def test_patient_and_study_are_those_of_the_source(objects, instances, kind):
    for keyword in (*PATIENT, *STUDY):
        assert objects[kind].get(keyword) == instances[0].get(keyword), keyword


@pytest.mark.validators
@pytest.mark.result_rule(1, 19)
def test_independent_programs_find_one_patient_and_one_study(result, instances, tmp_path):
    sources = dicom_factory.write(instances, tmp_path / "source")
    paths = made.written(run_of(result, instances), tmp_path)
    assert {*KINDS, Kind.SR} == {*paths}
    assert dcentvfy([*sources, *paths.values()]) == []
    assert [error for path in paths.values() for error in dciodvfy(path)] == []


@pytest.mark.result_rule(2)
def test_a_retry_makes_the_same_bytes_and_another_run_new_uids(result, instances):
    first, second = (
        [_bytes(each.dataset) for each in run_of(result, given)]
        for given in (instances, instances[::-1])
    )
    assert first == second
    again = made.run(ids=made.DerivedIds(job_key="a" * 64, run=2))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        one, other = (
            {each.dataset.get(keyword) for each in run_of(result, instances, this_run)}
            for this_run in (None, again)
        )
        assert not one & other


@pytest.mark.result_rule(3)
def test_each_is_the_only_one_of_its_series(objects, instances):
    uids = [ds.SeriesInstanceUID for ds in objects.values()]
    assert len({*uids, instances[0].SeriesInstanceUID}) == len(uids) + 1
    assert len({ds.SeriesNumber for ds in objects.values()}) == len(uids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.result_rule(21)
def test_it_says_which_algorithm_made_it(objects, kind):
    ds = objects[kind]
    (algorithm,) = ds.ContributingEquipmentSequence
    assert algorithm.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Processing Algorithm"
    assert algorithm.DeviceUID == made.run().device_uid
    assert [*algorithm.SoftwareVersions] == [*ds.SoftwareVersions] == made.run().software_versions
    assert ds.DeviceSerialNumber == made.run().model_sha256[:16]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.result_rule(22)
def test_it_says_that_it_is_for_research(objects, kind):
    assert "research use only" in objects[kind].SeriesDescription


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.result_rule(24)
def test_the_body_part_is_the_sources_where_the_object_has_one(objects, instances, kind):
    expected = None if kind in (Kind.KEY_OBJECTS, Kind.RTSTRUCT) else instances[0].BodyPartExamined
    assert objects[kind].get("BodyPartExamined") == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.result_rule(25)
def test_nothing_of_the_sources_device_pixels_or_private_attributes_goes_along(objects, kind):
    ds = objects[kind]
    text = []
    for element in ds.iterall():
        assert not element.tag.is_private
        text.append(str(element.value))
    assert not {"SCANNER7", "4711", "Phantom 3000", "1.2.3.4"} & {*text}
    assert all(not ds.get(keyword) for keyword in (*OF_THE_DEVICE, *OF_THE_PIXELS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.result_rule(29)
def test_it_names_source_images(objects, instances, kind):
    uids = {ds.SOPInstanceUID for ds in instances}
    own = {instances[0].StudyInstanceUID}  # a structure set names the study, too
    assert set(references(objects[kind])) - own <= uids
    assert set(references(objects[kind])) & uids


def references(ds):
    return [
        item.ReferencedSOPInstanceUID for item in _items(ds) if "ReferencedSOPInstanceUID" in item
    ]


def _items(ds):
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield item
                yield from _items(item)


def _bytes(ds):
    with BytesIO() as file:
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()
