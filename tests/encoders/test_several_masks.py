"""Segments that overlap: a SEG each, in a series each, and a report that tells them apart."""

from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy

SHAPE = (6, 24, 20)


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(name="overlap", shape=SHAPE)


@pytest.fixture(scope="module")
def result(instances):
    """The heart lies within the lung, and the mask between them holds nothing."""
    volume = hd.get_volume_from_series(instances)
    lung = (volume.array > 0).astype(np.uint8)
    heart = np.zeros_like(lung)
    heart[1:3, 5:9, 4:8] = 3
    masks = tuple(volume.with_array(each) for each in (lung, np.zeros_like(lung), heart))
    return Result(
        outcome=Outcome.FINDINGS,
        masks=masks,
        segments=made.SEGMENTS,
        findings=(made.finding(1, volume, lung), made.finding(3, volume, heart)),
    )


@pytest.fixture(scope="module")
def objects(instances, result):
    return made.every(result, instances)


def test_each_mask_with_voxels_is_one_object_in_a_series_of_its_own(objects):
    assert [kind for kind, _ in objects] == ["seg", "seg", "sr"]
    assert [ds.SeriesNumber for _, ds in objects] == [9001, 9011, 9002]
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
        assert len({ds.get(keyword) for _, ds in objects}) == 3
    labels = [[s.SegmentLabel for s in ds.SegmentSequence] for _, ds in objects[:2]]
    assert labels == [["Lung"], ["Heart"]]
    uids = {s.TrackingUID for _, ds in objects[:2] for s in ds.SegmentSequence}
    assert len(uids) == 2


def test_each_comes_back_voxel_for_voxel(objects, result):
    for (_, seg), mask in zip(objects[:2], (result.masks[0], result.masks[2]), strict=True):
        back = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
        assert np.array_equal(back.match_geometry(mask).array > 0, mask.array > 0)


def test_the_report_refers_to_the_object_in_which_each_segment_lies(objects):
    (_, lung), (_, heart), (_, sr) = objects
    for group, seg in zip(made.groups(sr, "1411"), (lung, heart), strict=True):
        (reference,) = made.named(group, "121191")
        (item,) = reference.ReferencedSOPSequence
        assert item.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert item.ReferencedSegmentNumber == 1
        assert seg.SegmentSequence[0].TrackingUID == made.named(group, "112040")[0].UID
    assert len(made.groups(sr, "1410")) == 2


def test_the_first_of_several_has_the_uids_of_a_single_one(instances, result, objects):
    alone = Result(
        outcome=result.outcome,
        masks=result.masks[:1],
        segments=result.segments,
        findings=result.findings[:1],
    )
    (seg,) = (ds for kind, ds in made.every(alone, instances) if kind == "seg")
    assert seg.SOPInstanceUID == objects[0][1].SOPInstanceUID
    assert _bytes(seg) == _bytes(objects[0][1])


def test_a_retry_makes_the_same_bytes(instances, result):
    headers = made.without_pixels(instances)
    first = encode(result, headers, made.run(), ("seg", "sr"))
    second = encode(result, headers[::-1], made.run(), ("seg", "sr"))
    assert [_bytes(ds) for _, ds, _ in first] == [_bytes(ds) for _, ds, _ in second]


@pytest.mark.validators
def test_independent_programs_find_no_error(instances, result, tmp_path: Path):
    encoded = encode(result, made.without_pixels(instances), made.run(), ("seg", "sr"))
    paths = made.written(encoded, tmp_path)
    assert list(paths) == ["seg", "seg-2", "sr"]
    for path in paths.values():
        assert dciodvfy(path) == []
        assert pydicom.dcmread(path).PatientID == "PHANTOM-1"


def _bytes(ds):
    with BytesIO() as file:
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()
