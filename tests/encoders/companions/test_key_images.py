"""Key images: each finding on the slice where it lies best, outlined where its border is."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from dicom_ai_node.encoders.companions.key_slices import MAX_KEY_SLICES, REGION_COLOR
from dicom_ai_node.encoders.companions.sheet import banner
from dicom_ai_node.form import Kind
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInImage, BoxInPatient, Finding, ImageMask, Result
from tests import dicom_factory
from tests.encoders import made
from tests.encoders.companions.drawn import NODULE, drawn, nodules, pixels_of

ONLY = [Kind.KEY_IMAGES]
RED, BLUE = made.SEGMENTS[0].color, made.SEGMENTS[2].color
DARK = np.zeros((40, 60), int)


def slice_of(path: Path, rows: int, columns: int) -> np.ndarray:
    """The picture between banner and caption, for images of square pixels."""
    pixels = pixels_of(path)
    top = banner(pixels.shape[1]).height
    return pixels[top : top + round(pixels.shape[1] * rows / columns)]


def is_of(pixels: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (pixels == color).all(axis=-1)


def marked_radiograph(mask: np.ndarray) -> tuple[list, Result]:
    ds = dicom_factory.radiograph(DARK, name="outlined")
    finding = Finding(tracking_identifier="L", code=made.LUNG, segment_number=1)
    return [ds], Result(
        outcome=Outcome.FINDINGS,
        image_masks=(ImageMask(sop_instance_uid=ds.SOPInstanceUID, array=mask),),
        segments=made.SEGMENTS,
        findings=(finding,),
    )


def test_the_outline_lies_on_the_border_of_the_mask_and_nowhere_else(tmp_path):
    """Also around a hole and a second piece; within a line's width."""
    mask = np.zeros(DARK.shape, np.uint8)
    mask[8:30, 6:34] = 1
    mask[14:20, 12:20] = 0
    mask[20:35, 48:56] = 1
    instances, result = marked_radiograph(mask)
    pixels = slice_of(drawn(result, instances, tmp_path, kinds=ONLY)["key_images"], *DARK.shape)
    scale = pixels.shape[1] / DARK.shape[1]
    rows, columns = np.indices(pixels.shape[:2])
    large = mask[(rows / scale).astype(int).clip(max=39), (columns / scale).astype(int)]
    changes = np.zeros(large.shape, bool)
    changes[1:] |= large[1:] != large[:-1]
    changes[:, 1:] |= large[:, 1:] != large[:, :-1]
    red = is_of(pixels, RED)
    label = np.zeros(large.shape, bool)
    label[: round(8 * scale) - 4] = True  # its text stands above the outline
    assert distance(red & ~label, to=changes) <= scale / 2 + 2  # corners are cut at half a pixel
    assert distance(changes, to=red) <= scale / 2 + 2


def distance(points: np.ndarray, *, to: np.ndarray) -> float:
    """Of the point that is furthest from all of the others, in pixels."""
    from scipy.ndimage import distance_transform_edt

    return float(distance_transform_edt(~to)[points].max())


def test_a_box_is_drawn_at_its_pixels(tmp_path):
    ds = dicom_factory.radiograph(DARK, name="boxed")
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(ds))
    pixels = slice_of(drawn(result, [ds], tmp_path, kinds=ONLY)["key_images"], *DARK.shape)
    scale = pixels.shape[1] / DARK.shape[1]
    rows, columns = np.nonzero(is_of(pixels, REGION_COLOR))
    assert columns.max() / scale == pytest.approx(30, abs=0.3)
    assert rows.max() / scale == pytest.approx(15, abs=0.3)
    assert columns.min() / scale == pytest.approx(10, abs=0.3)


def test_the_right_side_is_on_the_right_side(tmp_path):
    """The phantom's box lies towards low columns: the picture is neither turned nor mirrored."""
    instances = dicom_factory.series(name="sides", spacing=(5, 2, 2))
    paths = drawn(made.findings(instances), instances, tmp_path, kinds=ONLY)
    rows, columns = np.nonzero(is_of(slice_of(paths["key_images"], 48, 40), RED))
    assert columns.mean() < 768 / 2
    assert rows.mean() < 920 / 2
    assert pydicom.dcmread(paths["key_images"]).PatientOrientation == ["L", "P"]


def test_pixels_that_are_not_square_are_drawn_as_they_are(tmp_path):
    instances = dicom_factory.series(name="flat", shape=(4, 40, 40), spacing=(5.0, 1.0, 4.0))
    paths = drawn(made.findings(instances, numbers=(1,)), instances, tmp_path, kinds=ONLY)
    pixels = pixels_of(paths["key_images"])
    rows, columns = np.nonzero(is_of(pixels, RED))
    drawn_as = (np.ptp(columns) + 1) / (np.ptp(rows) + 1)
    assert drawn_as == pytest.approx(4, rel=0.3)  # the label above belongs to its height


def test_each_finding_is_on_its_largest_slice(tmp_path):
    """In the colour of its segment; the other one is drawn where it is there as well."""
    instances = dicom_factory.series(name="two", shape=(8, 32, 32), spacing=(5, 2, 2))
    volume = hd.get_volume_from_series(instances)
    mask = np.zeros(volume.spatial_shape, np.uint8)
    mask[1, 4:8, 4:8] = mask[2, 4:20, 4:20] = 1
    mask[6, 10:20, 10:20] = 3
    result = replace(made.findings(instances), masks=(volume.with_array(mask),))
    paths = drawn(result, instances, tmp_path, kinds=ONLY)
    assert set(paths) == {"seg", "sr", "key_images", "key_images-2"}
    for name, k, color in (("key_images", 2, RED), ("key_images-2", 6, BLUE)):
        (item,) = pydicom.dcmread(paths[name]).SourceImageSequence
        place = (volume.affine @ (k, 0, 0, 1))[:3]
        (shown,) = [ds for ds in instances if np.allclose(ds.ImagePositionPatient, place)]
        assert item.ReferencedSOPInstanceUID == shown.SOPInstanceUID
        assert is_of(pixels_of(paths[name]), color).any()


def test_a_box_in_the_patient_is_on_the_slice_nearest_to_its_centre(tmp_path):
    instances = dicom_factory.series(name="in the patient", shape=(6, 32, 32), spacing=(5, 2, 2))
    center = np.add(instances[4].ImagePositionPatient, (20, 20, 1))
    box = BoxInPatient(center=center, half_axes=np.diag((6.0, 4.0, 3.0)))
    finding = Finding(tracking_identifier="Nodule", code=NODULE, region=box)
    result = Result(outcome=Outcome.FINDINGS, findings=(finding,))
    paths = drawn(result, instances, tmp_path, kinds=ONLY)
    (item,) = pydicom.dcmread(paths["key_images"]).SourceImageSequence
    assert item.ReferencedSOPInstanceUID == instances[4].SOPInstanceUID


def test_findings_of_one_image_share_a_picture_and_there_are_few_pictures(tmp_path):
    images = [
        dicom_factory.radiograph(DARK, name="many", number=number + 1)
        for number in range(MAX_KEY_SLICES + 2)
    ]
    findings = [finding for image in images for finding in nodules(image, 2)]
    result = Result(outcome=Outcome.FINDINGS, findings=tuple(findings))
    paths = drawn(result, images, tmp_path, kinds=ONLY)
    pictures = [name for name in paths if name.startswith("key_images")]
    assert len(pictures) == MAX_KEY_SLICES


def test_a_class_seen_on_an_image_is_shown_on_it(tmp_path):
    """Without an outline: the image is the place."""
    ds = dicom_factory.radiograph(DARK, name="class")
    finding = Finding(tracking_identifier="Nodule", code=NODULE, image=ds.SOPInstanceUID)
    result = Result(outcome=Outcome.FINDINGS, findings=(finding,))
    paths = drawn(result, [ds], tmp_path, kinds=ONLY)
    assert not is_of(pixels_of(paths["key_images"]), REGION_COLOR).any()


@pytest.mark.parametrize("at", [(5, 5), (59.5, 39.5)])
def test_a_point_is_a_ring_around_it(at, tmp_path):
    ds = dicom_factory.radiograph(DARK, name="point")
    region = BoxInImage(sop_instance_uid=ds.SOPInstanceUID, low=at, high=at)
    finding = Finding(tracking_identifier="P", code=NODULE, region=region)
    result = Result(outcome=Outcome.FINDINGS, findings=(finding,))
    pixels = slice_of(drawn(result, [ds], tmp_path, kinds=ONLY)["key_images"], *DARK.shape)
    scale = pixels.shape[1] / DARK.shape[1]
    rows, columns = np.nonzero(is_of(pixels, REGION_COLOR))
    near = np.hypot(columns / scale - at[0], rows / scale - at[1]) < 1
    assert near.sum() > 20


def test_the_largest_radiograph_becomes_no_larger_picture(tmp_path):
    ds = dicom_factory.radiograph(np.zeros((1500, 1200), int), name="large")
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(ds))
    pixels = pixels_of(drawn(result, [ds], tmp_path, kinds=ONLY)["key_images"])
    assert pixels.shape[0] <= 1024 + 200
    assert pixels.shape[1] <= 1024


@pytest.mark.parametrize("place", [None, [1.0, 2.0]])
def test_an_image_whose_place_is_empty_is_shown_like_one_without(place, tmp_path):
    """Radiographs have such attributes, and nothing in them."""
    ds = dicom_factory.radiograph(DARK, name="empty place")
    ds.ImagePositionPatient, ds.ImageOrientationPatient = place, None
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(ds))
    every = [Kind.KEY_IMAGES, Kind.PRESENTATION, Kind.KEY_OBJECTS]
    assert set(drawn(result, [ds], tmp_path, kinds=every)) == {"sr", *every}
