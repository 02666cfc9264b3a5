"""Masks of images one by one: radiographs that lie nowhere, and slices that say where they lie."""

import highdicom as hd
import numpy as np
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, ImageMask, Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy, sr_validator

AREA, TRACKING_UID, FRAME, REGION = "42798000", "112040", "121214", "111030"
PIXELS = np.full((40, 48), 100)


def radiographs(**changes):
    first = {"name": "two views", "modality": "CR", **changes}
    return [
        dicom_factory.radiograph(PIXELS, **first),
        dicom_factory.radiograph(PIXELS[:30], number=2, photometric="MONOCHROME1", **first),
    ]


def masks(images):
    """The same segment on each, and another one on the first."""
    found = []
    for number, ds in enumerate(images):
        array = np.zeros((ds.Rows, ds.Columns), np.uint8)
        array[5 : 15 + number, 6:20] = 1
        if number == 0:
            array[20:30, 30:34] = 3
        found.append(ImageMask(sop_instance_uid=ds.SOPInstanceUID, array=array))
    return tuple(found)


def finding(number, image, **more):
    segment = made.SEGMENTS[number - 1]
    return Finding(
        tracking_identifier=f"{segment.label} 1",
        code=segment.type,
        segment_number=number,
        image=image.SOPInstanceUID,
        **more,
    )


def result_of(images):
    return Result(
        outcome=Outcome.FINDINGS,
        image_masks=masks(images),
        segments=made.SEGMENTS,
        findings=(finding(3, images[0]), *(finding(1, image) for image in images)),
    )


def frames_of(seg):
    """{(image, segment label): pixels}."""
    pixels = seg.pixel_array.reshape(seg.NumberOfFrames, seg.Rows, seg.Columns)
    labels = {segment.SegmentNumber: segment.SegmentLabel for segment in seg.SegmentSequence}
    (shared,) = seg.SharedFunctionalGroupsSequence
    found = {}
    for groups, frame in zip(seg.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        own = groups if "SegmentIdentificationSequence" in groups else shared
        number = own.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        assert source.SpatialLocationsPreserved == "YES"
        found[source.ReferencedSOPInstanceUID, labels[number]] = frame
    return found


def test_a_radiograph_has_a_seg_of_its_own_without_a_place_in_the_patient():
    images = radiographs()
    *segs, (kind, _) = made.every(result_of(images), images)
    assert ([kind for kind, _ in segs], kind) == (["seg", "seg"], "sr")
    by_image = {_source_of(seg): seg for _, seg in segs}
    for image, mask in zip(images, masks(images), strict=True):
        seg = by_image[image.SOPInstanceUID]
        assert "FrameOfReferenceUID" not in seg
        assert (seg.Rows, seg.Columns) == (image.Rows, image.Columns)
        (series,) = seg.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == image.SeriesInstanceUID
        frames = frames_of(seg)
        assert np.array_equal(frames[image.SOPInstanceUID, "Lung"], mask.array == 1)
        assert {uid for uid, _ in frames} == {image.SOPInstanceUID}
    first = images[0].SOPInstanceUID
    heart = frames_of(by_image[first])[first, "Heart"]
    assert np.array_equal(heart, masks(images)[0].array == 3)


def _source_of(seg):
    (series,) = seg.ReferencedSeriesSequence
    (instance,) = series.ReferencedInstanceSequence
    return instance.ReferencedSOPInstanceUID


def test_slices_by_themselves_share_a_seg_and_lie_where_they_lay():
    images = dicom_factory.series(name="slices", shape=(3, 40, 48))
    seg, _ = (ds for _, ds in made.every(result_of(images), images))
    by_uid = {mask.sop_instance_uid: mask.array for mask in masks(images)}
    frames = frames_of(seg)
    assert len(frames) == 4
    for (uid, label), frame in frames.items():
        assert np.array_equal(frame, by_uid[uid] == (1 if label == "Lung" else 3))
    place = {ds.SOPInstanceUID: ds.ImagePositionPatient for ds in images}
    for groups in seg.PerFrameFunctionalGroupsSequence:
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert position == place[source.ReferencedSOPInstanceUID]
    assert seg.FrameOfReferenceUID == images[0].FrameOfReferenceUID


def test_the_second_mask_of_an_image_lies_in_another_object():
    """Segments that overlap on a radiograph."""
    image, _ = radiographs()
    first, second = np.zeros((2, 40, 48), np.uint8)
    first[5:20, 5:20] = 1
    second[10:15, 10:15] = 3
    layers = tuple(
        ImageMask(sop_instance_uid=image.SOPInstanceUID, array=array) for array in (first, second)
    )
    result = Result(
        outcome=Outcome.FINDINGS,
        image_masks=layers,
        segments=made.SEGMENTS,
        findings=(finding(1, image), finding(3, image)),
    )
    (_, lung), (_, heart), (_, sr) = made.every(result, [image])
    assert np.array_equal(frames_of(lung)[image.SOPInstanceUID, "Lung"], first > 0)
    assert np.array_equal(frames_of(heart)[image.SOPInstanceUID, "Heart"], second > 0)
    references = [item.ReferencedSOPSequence[0] for item in made.named(sr, FRAME)]
    assert [item.ReferencedSOPInstanceUID for item in references] == [
        lung.SOPInstanceUID,
        heart.SOPInstanceUID,
    ]


def test_images_of_one_place_lie_in_different_objects():
    """Two moments of a slice, say: as frames of one object they would share an index."""
    images = dicom_factory.series(name="moments", shape=(2, 40, 48))
    images[1].ImagePositionPatient = images[0].ImagePositionPatient
    (_, first), (_, second), _ = made.every(result_of(images), images)
    assert {_source_of(first), _source_of(second)} == {ds.SOPInstanceUID for ds in images}
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_the_report_names_frame_and_image_of_each_finding():
    images = radiographs()
    *segs, (_, sr) = made.every(result_of(images), images)
    by_image = {_source_of(seg): seg for _, seg in segs}
    first, second = (by_image[image.SOPInstanceUID] for image in images)
    measured = [group for group in made.groups(sr, "1410") if made.named(group, FRAME)]
    drawn = [group for group in made.groups(sr, "1410") if made.named(group, REGION)]
    assert len(measured) == len(drawn) == 3
    uids = [made.named(group, TRACKING_UID)[0].UID for group in measured]
    assert uids == [made.named(group, TRACKING_UID)[0].UID for group in drawn]
    assert len(set(uids)) == 3
    heart, lung = first.SegmentSequence[1], first.SegmentSequence[0]
    assert uids == [heart.TrackingUID, lung.TrackingUID, second.SegmentSequence[0].TrackingUID]
    for group, seg, label in zip(
        measured, (first, first, second), ("Heart", "Lung", "Lung"), strict=True
    ):
        (item,) = made.named(group, FRAME)[0].ReferencedSOPSequence
        assert item.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert list(frames_of(seg))[int(item.ReferencedFrameNumber) - 1][1] == label
    (region,) = made.named(drawn[0], REGION)
    points = np.reshape(region.GraphicData, (-1, 2))
    assert (points.min(axis=0) == (30, 20)).all()
    assert (points.max(axis=0) == (34, 30)).all()
    (source,) = region.ContentSequence[0].ReferencedSOPSequence
    assert source.ReferencedSOPInstanceUID == images[0].SOPInstanceUID


@pytest.mark.parametrize(
    ("spacing", "square_millimetres"),
    [
        ({}, None),
        ({"pixel_spacing": (0.5, 0.25)}, 40 * 0.125),
        ({"imager_pixel_spacing": (0.2, 0.2)}, 40 * 0.04),
        ({"pixel_spacing": (0.0, 0.0), "imager_pixel_spacing": (0.2, 0.2)}, 40 * 0.04),
    ],
    ids=["unknown", "in the patient", "at the detector", "zero"],
)
def test_an_area_is_measured_where_the_pixels_have_a_size(spacing, square_millimetres):
    image, _ = radiographs(**spacing)
    result = Result(
        outcome=Outcome.FINDINGS,
        image_masks=masks([image]),
        segments=made.SEGMENTS,
        findings=(finding(3, image),),
    )
    sr = made.encoded(result, [image])["sr"]
    values = [float(item.MeasuredValueSequence[0].NumericValue) for item in made.named(sr, AREA)]
    assert values == ([] if square_millimetres is None else [pytest.approx(square_millimetres)])


def test_a_mask_that_does_not_fit_its_image_is_the_models_fault():
    image, other = radiographs()
    (mask,) = masks([image])
    for wrong, headers in (
        (ImageMask(sop_instance_uid=other.SOPInstanceUID, array=mask.array), [image, other]),
        (mask, [other]),
    ):
        result = Result(
            outcome=Outcome.FINDINGS, image_masks=(wrong,), segments=made.SEGMENTS, findings=()
        )
        with pytest.raises(ModelError, match="does not fit"):
            encode(result, made.without_pixels(headers), made.run(), ("seg", "sr"))


def test_slices_that_do_not_say_where_they_lie_are_shown_by_the_report_alone():
    (image,) = dicom_factory.series(name="nowhere", shape=(1, 24, 20))
    del image.FrameOfReferenceUID, image.ImagePositionPatient
    result = Result(
        outcome=Outcome.FINDINGS,
        image_masks=masks([image])[:1],
        segments=made.SEGMENTS,
        findings=(finding(1, image),),
    )
    ((kind, sr),) = made.every(result, [image])
    assert kind == "sr"
    assert made.named(sr, REGION)


@pytest.mark.validators
@pytest.mark.parametrize("modality", ["CR", "DX", "MG"])
def test_independent_programs_find_no_error(modality, tmp_path):
    images = radiographs(modality=modality, name=modality, pixel_spacing=(0.2, 0.2))
    result = result_of(images)
    encoded = encode(result, made.without_pixels(images), made.run(), ("seg", "sr"))
    paths = made.written(encoded, tmp_path)
    for path in paths.values():
        assert dciodvfy(path) == []
    assert hd.sr.srread(paths["sr"]).content.get_planar_roi_measurement_groups()


@pytest.mark.validators
def test_the_report_follows_its_templates(tmp_path):
    """One finding: the validator takes its time with each group."""
    images = radiographs(name="template", pixel_spacing=(0.2, 0.2))[:1]
    result = Result(
        outcome=Outcome.FINDINGS,
        image_masks=masks(images),
        segments=made.SEGMENTS,
        findings=(finding(3, images[0], probability=0.8),),
    )
    encoded = encode(result, made.without_pixels(images), made.run(), ("seg", "sr"))
    assert sr_validator(made.written(encoded, tmp_path)["sr"]) == []
