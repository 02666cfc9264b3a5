"""Key objects of a run: the source images on which findings are seen best, and no others."""

import highdicom as hd
import numpy as np
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.form import Form, Kind, ReportForm, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInImage, Finding, Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dcentvfy, dciodvfy, sr_validator

FORM = Form(segmentation=Segmentation.NONE, report=ReportForm.NONE, companions=(Kind.KEY_OBJECTS,))
SHAPE = (6, 24, 20)
NODULE = made.Code("27925004", "SCT", "Nodule")


@pytest.fixture(scope="module")
def instances():
    found = dicom_factory.series(name="keys", shape=SHAPE)
    for ds in found:
        request = made.Dataset()
        request.RequestedProcedureID, request.AccessionNumber = "RP-1", "ACC-1"
        ds.RequestAttributesSequence = [request]
    return found


@pytest.fixture(scope="module")
def volume(instances):
    return hd.get_volume_from_series(instances)


@pytest.fixture(scope="module")
def result(volume):
    """The lung is largest on slice 2 of the volume, the heart on slice 4."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:4, 4:8, 4:8] = 1
    mask[2, 4:9, 4:9] = 1
    mask[4, 10:12, 10:12] = 3
    return Result(
        outcome=Outcome.FINDINGS,
        masks=(volume.with_array(mask),),
        segments=made.SEGMENTS,
        findings=tuple(made.finding(number, volume, mask) for number in (1, 3)),
    )


def documents(result, instances):
    objects = encode(
        result, made.without_pixels(instances), made.run(), ("seg", "sr"), forms=[FORM]
    )
    return [made.reread(each.dataset) for each in objects]


def named(ko):
    """(SOP Instance UID, frame numbers) in the order of the document."""
    references = [
        item.ReferencedSOPSequence[0] for item in ko.ContentSequence if item.ValueType == "IMAGE"
    ]
    return [
        (each.ReferencedSOPInstanceUID, each.get("ReferencedFrameNumber")) for each in references
    ]


@pytest.mark.air("key images")
def test_it_names_the_slice_on_which_each_finding_is_largest(result, instances, volume):
    (ko,) = documents(result, instances)
    z = {float(ds.ImagePositionPatient[2]): ds.SOPInstanceUID for ds in instances}
    slices = volume.map_indices_to_reference(np.array([[2, 0, 0], [4, 0, 0]]))[:, 2]
    assert named(ko) == [(z[float(height)], None) for height in slices]
    assert ko.ConceptNameCodeSequence[0].CodeValue == "113000"
    assert "findings" in made.named(ko, "113012")[0].TextValue
    assert made.coded(made.named(ko, "121005")[0]) == "121007"
    assert ko.ReferencedRequestSequence[0].RequestedProcedureID == "RP-1"
    assert ko.SeriesNumber == 9007


def test_it_names_frames_of_a_multi_frame_image(result, instances):
    (enhanced,) = dicom_factory.enhanced(instances)
    (ko,) = documents(result, [enhanced])
    ((uid, frames),) = named(ko)
    assert uid == enhanced.SOPInstanceUID
    assert len(frames) == 2


def test_regions_and_whole_images_are_named_once_each():
    images = [
        dicom_factory.radiograph(np.full((30, 40), 9), name="views", number=k) for k in (1, 2)
    ]
    uids = [image.SOPInstanceUID for image in images]
    box = BoxInImage(sop_instance_uid=uids[1], low=(1.0, 1.0), high=(5.0, 5.0))
    found = (
        Finding(tracking_identifier="box", code=NODULE, region=box),
        Finding(tracking_identifier="again", code=NODULE, region=box),
        Finding(tracking_identifier="seen", code=NODULE, image=uids[0]),
        Finding(tracking_identifier="of the study", code=NODULE),
    )
    (ko,) = documents(Result(outcome=Outcome.FINDINGS, findings=found), images)
    assert named(ko) == [(uids[1], None), (uids[0], None)]


@pytest.mark.parametrize("outcome", [Outcome.NONE, Outcome.FAILED])
def test_without_findings_there_is_none(instances, outcome):
    assert documents(Result(outcome=outcome), instances) == []


@pytest.mark.validators
@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.result_rule(18, 19)
def test_independent_programs_find_no_error(result, instances, tmp_path, multi_frame):
    given = dicom_factory.enhanced(instances) if multi_frame else instances
    sources = dicom_factory.write(given, tmp_path / "source")
    objects = encode(result, made.without_pixels(given), made.run(), ("sr",), forms=[FORM])
    paths = made.written(objects, tmp_path)
    assert dciodvfy(paths["key_objects"]) == []
    assert sr_validator(paths["key_objects"]) == []
    assert dcentvfy([*sources, *paths.values()]) == []
