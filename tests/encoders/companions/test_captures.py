"""Pages and key images as objects: whose they are, what they are of, and that they are valid."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from dicom_ai_node.form import Kind
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import ImageMask, Result
from tests import dicom_factory
from tests.encoders import made
from tests.encoders.companions.drawn import COMPANIONS, drawn, nodules
from tests.validators import dcentvfy, dciodvfy

Case = tuple[list[Dataset], Result]
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
PIXELS = np.tile(np.arange(60) * 16, (40, 1))


def ct() -> Case:
    instances = dicom_factory.series(name="ct")
    return instances, made.findings(instances)


def mr() -> Case:
    instances = dicom_factory.series(
        name="mr", modality="MR", orientation=dicom_factory.SAGITTAL, body_part="HEAD"
    )
    return instances, made.findings(instances)


def multi_frame() -> Case:
    instances = dicom_factory.series(name="frames", modality="MR", body_part="HEAD")
    return dicom_factory.enhanced(instances), made.findings(instances)


def radiograph() -> Case:
    """A paired part of the body, with a segment and a box."""
    ds = dicom_factory.radiograph(PIXELS, name="knee")
    ds.BodyPartExamined, ds.Laterality = "KNEE", "L"
    mask = np.zeros(PIXELS.shape, np.uint8)
    mask[20:30, 10:20] = 1
    result = Result(
        outcome=Outcome.FINDINGS,
        image_masks=(ImageMask(sop_instance_uid=ds.SOPInstanceUID, array=mask),),
        segments=made.SEGMENTS,
        findings=nodules(ds),
    )
    return [ds], result


def of_no_known_part() -> Case:
    ds = dicom_factory.radiograph(PIXELS, name="unknown")
    del ds.BodyPartExamined, ds.Laterality
    return [ds], Result(outcome=Outcome.FINDINGS, findings=nodules(ds))


def refused() -> Case:
    instances = dicom_factory.series(name="refused", shape=(3, 16, 16))
    return instances, Result.not_suitable("The images are of another part of the body.")


CASES = [ct, mr, multi_frame, radiograph, of_no_known_part, refused]


@pytest.mark.validators
@pytest.mark.result_rule(1, 19, 24)
@pytest.mark.parametrize("case", CASES)
def test_every_object_is_valid_and_the_patients(case: Callable[[], Case], tmp_path: Path) -> None:
    instances, result = case()
    paths = drawn(result, instances, tmp_path)
    kinds = {name.split("-")[0] for name in paths}
    assert {Kind.SUMMARY, Kind.PDF} < kinds
    assert (Kind.KEY_IMAGES in kinds) == (result.outcome is Outcome.FINDINGS)
    for path in paths.values():
        assert not dciodvfy(path), path.name
    assert not dcentvfy([tmp_path / "source" / "IM0000.dcm", *paths.values()])


@pytest.mark.result_rule(21, 22, 24, 25, 29)
@pytest.mark.parametrize("case", CASES)
def test_what_an_object_says_of_itself(case: Callable[[], Case], tmp_path: Path) -> None:
    instances, result = case()
    analysed = {str(ds.SOPInstanceUID) for ds in instances}
    for name, path in drawn(result, instances, tmp_path).items():
        ds = pydicom.dcmread(path)
        if name.split("-")[0] not in COMPANIONS:
            continue
        is_pdf = ds.SOPClassUID == ENCAPSULATED_PDF
        assert is_pdf or ds.SOPClassUID == SECONDARY_CAPTURE
        assert (ds.Modality, ds.BurnedInAnnotation) == ("DOC" if is_pdf else "OT", "YES")
        assert "research use only" in ds.SeriesDescription
        assert ds.IssuerOfPatientID == "Phantom Hospital"
        assert not any(element.tag.is_private for element in ds.iterall())
        assert ds.Manufacturer != "Phantom Works"
        (algorithm,) = ds.ContributingEquipmentSequence
        assert algorithm.DeviceUID == made.run().device_uid
        references = ds.SourceInstanceSequence if is_pdf else ds.SourceImageSequence
        uids = {item.ReferencedSOPInstanceUID for item in references}
        assert uids
        assert uids <= analysed
        if not is_pdf:
            assert ds.ImageType[:2] == ["DERIVED", "SECONDARY"]
            assert "FrameOfReferenceUID" not in ds
            for keyword in ("BodyPartExamined", "Laterality"):
                assert (ds.get(keyword) or "") == (instances[0].get(keyword) or "")


@pytest.mark.result_rule(2, 3)
def test_a_retry_makes_the_same_bytes_and_each_kind_has_a_series(tmp_path: Path) -> None:
    instances, result = ct()
    first = drawn(result, instances, tmp_path / "1")
    again = drawn(result, instances, tmp_path / "2")
    assert {name: path.read_bytes() for name, path in first.items()} == {
        name: path.read_bytes() for name, path in again.items()
    }
    headers = {name: pydicom.dcmread(path) for name, path in first.items()}
    numbers = {name: int(ds.SeriesNumber) for name, ds in headers.items()}
    assert (numbers["summary"], numbers["key_images"], numbers["pdf"]) == (9004, 9005, 9008)
    series = [ds.SeriesInstanceUID for name, ds in headers.items() if name != "key_images-2"]
    assert len(set(series)) == len(series)
    # pictures of one kind are one series, which viewers show whole
    both = [headers["key_images"], headers["key_images-2"]]
    assert both[0].SeriesInstanceUID == both[1].SeriesInstanceUID
    assert [ds.InstanceNumber for ds in both] == [1, 2]


def test_a_frame_is_referenced_by_its_number(tmp_path: Path) -> None:
    instances, result = multi_frame()
    ds = pydicom.dcmread(drawn(result, instances, tmp_path)["key_images"])
    (item,) = ds.SourceImageSequence
    frame = int(item.ReferencedFrameNumber)
    mask = result.masks[0]
    position = instances[0].PerFrameFunctionalGroupsSequence[frame - 1].PlanePositionSequence[0]
    k = int(np.argmax((mask.array == 1).sum(axis=(1, 2))))
    assert np.allclose(position.ImagePositionPatient, (mask.affine @ [k, 0, 0, 1])[:3])


def test_without_pixels_the_page_stands_alone(tmp_path: Path) -> None:
    """A summary of a study whose pixels nobody can decode refers to what was analysed."""
    instances, result = ct()
    paths = drawn(result, instances, tmp_path, with_pixels=False)
    assert "key_images" not in paths
    ds = pydicom.dcmread(paths["summary"])
    assert len(ds.SourceImageSequence) == len(instances)


def test_images_that_cannot_be_decoded_are_left_out_and_nothing_else(tmp_path: Path) -> None:
    instances, result = ct()
    for ds in instances:
        ds.PixelData = ds.PixelData[:10]
    paths = drawn(result, instances, tmp_path)
    assert {"seg", "sr", "summary", "pdf"} == set(paths)


def test_an_abstention_shows_no_slice_of_findings_that_it_does_not_stand_for(
    tmp_path: Path,
) -> None:
    instances, result = ct()
    paths = drawn(replace(result, outcome=Outcome.ABSTAINED), instances, tmp_path)
    assert "key_images" not in paths
