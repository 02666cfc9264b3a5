"""Boxes and points in a report: on the right image, at the right pixels, as viewers draw them."""

import highdicom as hd
import numpy as np
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInImage, BoxInPatient, Finding, Measurement, Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy, sr_validator

NODULE = made.Code("27925004", "SCT", "Nodule")
TRACKING_IDENTIFIER, TRACKING_UID, CERTAINTY, REGION = "112039", "112040", "111012", "111030"
PURPOSE, COMMENT, LENGTH = "130400", "121106", "410668003"
TURNED = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
POINT = np.zeros((3, 3))


def report(instances, *findings, **more):
    result = Result(outcome=Outcome.FINDINGS, findings=findings, **more)
    return made.encoded(result, instances)["sr"]


def nodule(region, number=1, **more):
    return Finding(tracking_identifier=f"Nodule {number}", code=NODULE, region=region, **more)


def drawn(sr):
    """(points, SOP Instance UID, frame number) of each region."""
    found = []
    for region in made.named(sr, REGION):
        (source,) = region.ContentSequence[0].ReferencedSOPSequence
        points = np.reshape(region.GraphicData, (-1, 2))
        kind = "POINT" if len(points) == 1 else "POLYLINE"
        assert region.GraphicType == kind
        found.append((points, source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")))
    return found


@pytest.fixture(scope="module")
def image():
    return dicom_factory.radiograph(np.full((40, 60), 100), name="boxes")


@pytest.fixture(scope="module")
def stack():
    return dicom_factory.series(name="stack", shape=(8, 30, 40), spacing=(5.0, 1.5, 2.0))


@pytest.mark.air("locations")
def test_a_box_on_an_image_is_a_closed_polygon_and_a_group_with_its_certainty(image):
    box = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(10.5, 5.5), high=(30.5, 20.5))
    unit = made.Code("mm", "UCUM", "mm")
    length = Measurement(name=made.Code(LENGTH, "SCT", "Length"), value=12.5, unit=unit)
    sr = report([image], nodule(box, probability=0.931, measurements=(length,)))
    ((points, uid, _),) = drawn(sr)
    assert uid == image.SOPInstanceUID
    assert len(points) == 5
    assert np.array_equal(points[0], points[-1])
    assert {tuple(point) for point in points} == {
        (10.5, 5.5),
        (30.5, 5.5),
        (30.5, 20.5),
        (10.5, 20.5),
    }
    (region,), (said,) = made.groups(sr, "1410"), made.groups(sr, "1501")
    assert made.named(said, TRACKING_UID)[0].UID == made.named(region, TRACKING_UID)[0].UID
    assert made.named(region, TRACKING_IDENTIFIER)[0].TextValue == "AI Nodule 1 (93 %)"
    assert made.named(said, TRACKING_IDENTIFIER)[0].TextValue == "AI Nodule 1 (93 %)"
    # what OHIF writes beside the box is the comment of its group
    assert made.named(region, COMMENT)[0].TextValue == "AI Nodule 1 (93 %)"
    assert made.coded(made.named(region, PURPOSE)[0]) == "75958009"
    assert not [item for item in made.walk(region) if item.ValueType == "NUM"]
    numbers = {
        item.ConceptNameCodeSequence[0].CodeValue: float(item.MeasuredValueSequence[0].NumericValue)
        for item in made.walk(said)
        if item.ValueType == "NUM"
    }
    assert numbers == {CERTAINTY: 93.1, LENGTH: 12.5}


@pytest.mark.parametrize(
    ("probability", "label"),
    [
        (None, "Nodule 1"),
        (0.5, "AI Nodule 1 (50 %)"),
        (0.999, "AI Nodule 1 (> 99 %)"),
        (0.001, "AI Nodule 1 (< 1 %)"),
        (1.0, "AI Nodule 1 (100 %)"),
    ],
)
def test_the_label_says_how_sure_the_model_is(image, probability, label):
    box = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(3.0, 4.0), high=(3.0, 4.0))
    sr = report([image], nodule(box, probability=probability))
    ((points, *_),) = drawn(sr)
    assert points.tolist() == [[3.0, 4.0]]
    assert {item.TextValue for item in made.named(sr, TRACKING_IDENTIFIER)} == {label}


def test_a_box_ends_where_its_image_ends(image):
    box = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(-5.0, 30.0), high=(9.0, 99.0))
    ((points, *_),) = drawn(report([image], nodule(box)))
    assert (points.min(axis=0).tolist(), points.max(axis=0).tolist()) == ([0, 30], [9, 40])


def test_findings_of_one_name_are_tracked_apart(image):
    boxes = [
        BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(x, 1.0), high=(x + 5, 6.0))
        for x in (1.0, 20.0)
    ]
    sr = report([image], *map(nodule, boxes))
    assert len({item.UID for item in made.named(sr, TRACKING_UID)}) == 2


def at(stack, slices, rows, columns):
    """LPS mm of a place in indices, from the headers alone (PS3.3 C.7.6.2.1.1)."""
    first, second = stack[:2]
    origin = np.array(first.ImagePositionPatient, float)
    step = np.array(second.ImagePositionPatient, float) - origin
    along_row, along_column = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    row_mm, column_mm = first.PixelSpacing
    return origin + slices * step + rows * row_mm * along_column + columns * column_mm * along_row


@pytest.mark.parametrize("orientation", [dicom_factory.AXIAL, dicom_factory.SAGITTAL, TURNED])
def test_a_box_in_the_patient_is_drawn_on_the_slice_nearest_to_its_centre(orientation):
    stack = dicom_factory.series(
        name=f"box {orientation}",
        shape=(8, 30, 40),
        spacing=(5.0, 1.5, 2.0),
        orientation=orientation,
    )
    along_row, along_column = np.reshape(np.array(orientation), (2, 3))
    normal = np.cross(along_row, along_column)
    axes = np.array([12.0 * normal, 6.0 * along_column, 8.0 * along_row])
    box = BoxInPatient(center=at(stack, 3.3, 10, 20), half_axes=axes)
    ((points, uid, _),) = drawn(report(stack, nodule(box)))
    assert uid == stack[3].SOPInstanceUID
    assert np.allclose(points.min(axis=0), (20.5 - 4, 10.5 - 4), atol=1e-3)
    assert np.allclose(points.max(axis=0), (20.5 + 4, 10.5 + 4), atol=1e-3)
    assert len(points) == 5


def test_a_turned_box_is_cut_where_the_slice_lies():
    """A cube on its edge: away from its middle the cut is narrower."""
    stack = dicom_factory.series(name="edge", shape=(9, 40, 40), spacing=(4.0, 1.0, 1.0))
    half = 10 / np.sqrt(2)
    axes = np.array([(half, 0, half), (-half, 0, half), (0, 5, 0)])
    box = BoxInPatient(center=at(stack, 4.25, 20, 20), half_axes=axes)
    ((points, uid, _),) = drawn(report(stack, nodule(box)))
    assert uid == stack[4].SOPInstanceUID
    width = np.ptp(points[:, 0])
    assert width == pytest.approx(2 * (2 * half - 1.0), abs=1e-3)  # 1 mm below the centre
    assert np.ptp(points[:, 1]) == pytest.approx(10, abs=1e-3)


def test_a_box_between_two_slices_is_drawn_on_the_nearer_one(stack):
    box = BoxInPatient(center=at(stack, 2.4, 10, 10), half_axes=np.diag([4.0, 3.0, 0.5]))
    ((points, uid, _),) = drawn(report(stack, nodule(box)))
    assert uid == stack[2].SOPInstanceUID
    assert np.ptp(points, axis=0) == pytest.approx((4, 4))


@pytest.mark.air("locations")
def test_a_point_in_the_patient_is_a_point(stack):
    sr = report(stack, nodule(BoxInPatient(center=at(stack, 5, 7, 9), half_axes=POINT)))
    ((points, uid, _),) = drawn(sr)
    assert uid == stack[5].SOPInstanceUID
    assert points.tolist() == [[9.5, 7.5]]
    assert made.coded(made.named(sr, PURPOSE)[0]) == "111010"


def test_the_extent_in_space_is_said_in_words_and_not_in_coordinates(stack):
    """Of a report with SCOORD3D, OHIF draws nothing."""
    box = BoxInPatient(center=np.array([-20.0, -15.5, -10.0]), half_axes=np.diag([4.0, 3.0, 6.0]))
    sr = report(stack, nodule(box))
    (said,) = made.groups(sr, "1501")
    assert made.named(said, COMMENT)[0].TextValue == (
        "Box in the patient (LPS, mm): centre -20.0, -15.5, -10.0; edges 8.0 x 6.0 x 12.0."
    )
    assert not [item for item in made.walk(sr) if item.ValueType == "SCOORD3D"]


def test_a_multi_frame_source_is_named_with_its_frame(stack):
    (whole,) = dicom_factory.enhanced(stack)
    box = BoxInPatient(center=at(stack, 5, 7, 9), half_axes=np.diag([4.0, 3.0, 6.0]))
    sr = report([whole], nodule(box))
    ((points, uid, frame),) = drawn(sr)
    assert (uid, frame) == (whole.SOPInstanceUID, 6)
    assert points.min(axis=0) == pytest.approx((7.5, 5.5))


@pytest.mark.parametrize(
    "region",
    [
        BoxInImage(sop_instance_uid="2.25.1", low=(1.0, 1.0), high=(2.0, 2.0)),
        BoxInPatient(center=np.array([-20.0, -15.0, 400.0]), half_axes=np.diag([4.0, 3.0, 6.0])),
        BoxInPatient(center=np.array([400.0, -15.0, -10.0]), half_axes=np.diag([4.0, 3.0, 6.0])),
        BoxInPatient(center=np.array([np.nan, 0.0, 0.0]), half_axes=POINT),
    ],
    ids=["another image", "above", "aside", "not a number"],
)
def test_a_region_beside_the_images_is_the_models_fault(stack, region):
    with pytest.raises(ModelError, match="A finding lies"):
        report(stack, nodule(region))


def test_a_region_in_the_patient_needs_images_that_lie_in_one(image):
    with pytest.raises(ModelError, match="do not say where"):
        report([image], nodule(BoxInPatient(center=np.zeros(3), half_axes=POINT)))


@pytest.mark.validators
def test_independent_programs_find_no_error(stack, tmp_path):
    box = BoxInPatient(center=at(stack, 5, 7, 9), half_axes=np.diag([4.0, 3.0, 6.0]))
    result = Result(outcome=Outcome.FINDINGS, findings=(nodule(box, probability=0.9),))
    encoded = encode(result, made.without_pixels(stack), made.run(), ("seg", "sr"))
    paths = made.written(encoded, tmp_path)
    assert list(paths) == ["sr"]
    assert dciodvfy(paths["sr"]) == []
    assert sr_validator(paths["sr"]) == []
    assert len(hd.sr.srread(paths["sr"]).content.get_planar_roi_measurement_groups()) == 1
