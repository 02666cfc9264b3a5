"""The forms that masks are sent in: what each holds, and how the report refers to it."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.seg.marks import encode_marks
from dicom_ai_node.form import Form, Kind, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, ImageMask, Result
from tests import dicom_factory
from tests.encoders import made
from tests.encoders.seg.sources import FORMS, basis, form, phantom
from tests.validators import LABEL_MAP

SEGMENT, FRAME = "121191", "121214"
KINDS = {
    Segmentation.BINARY: (Kind.SEG, SegmentationStorage, "BINARY"),
    Segmentation.LABELMAP: (Kind.LABELMAP, LABEL_MAP, "LABELMAP"),
    Segmentation.FRACTIONAL: (Kind.FRACTIONAL, SegmentationStorage, "FRACTIONAL"),
}


@pytest.fixture(scope="module")
def instances() -> list[Dataset]:
    return dicom_factory.series(name="forms")


@pytest.fixture(scope="module")
def result(instances: list[Dataset]) -> Result:
    return made.findings(instances)


def encoded(
    result: Result, instances: Sequence[Dataset], *forms: Form, kinds: Sequence[str] = ("seg", "sr")
) -> list[EncodedObject]:
    objects = encode(result, made.without_pixels(instances), made.run(), kinds, forms=forms)
    return [each._replace(dataset=made.reread(each.dataset)) for each in objects]


def segments(seg: Dataset) -> list[Dataset]:
    """Those of the model: a label map has an item for what is in none of them."""
    return [item for item in seg.SegmentSequence if item.SegmentNumber]


@pytest.mark.result_rule(3, 9, 10, 12)
@pytest.mark.parametrize("segmentation", FORMS)
def test_segments_are_disjoint_described_coded_and_tracked_in_every_form(
    segmentation: Segmentation, instances: list[Dataset], result: Result
) -> None:
    (kind, seg, _), (_, sr, _) = encoded(result, instances, form(segmentation))
    assert (kind, seg.SOPClassUID, seg.SegmentationType) == KINDS[segmentation]
    assert seg.SegmentsOverlap == "NO"
    assert sr.SeriesInstanceUID != seg.SeriesInstanceUID
    assert [(s.SegmentNumber, s.SegmentLabel) for s in segments(seg)] == [(1, "Lung"), (2, "Heart")]
    for segment in segments(seg):
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        for code in (
            segment.SegmentedPropertyCategoryCodeSequence[0],
            segment.SegmentedPropertyTypeCodeSequence[0],
        ):
            assert code.CodingSchemeDesignator == "SCT"
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Phantom box", "1.2")
        assert len(segment.RecommendedDisplayCIELabValue) == 3
        assert segment.TrackingUID
    tracked = {(segment.TrackingID, segment.TrackingUID) for segment in segments(seg)}
    assert tracked == {(each.SegmentLabel + " volume", each.TrackingUID) for each in segments(seg)}
    in_report = {item.UID for item in made.named(sr, "112040")}
    assert in_report == {uid for _, uid in tracked}


@pytest.mark.result_rule(10)
@pytest.mark.parametrize("segmentation", FORMS)
def test_no_voxel_no_object_in_any_form(
    segmentation: Segmentation, instances: list[Dataset], result: Result
) -> None:
    (mask,) = result.masks
    empty = Result(
        outcome=Outcome.FINDINGS,
        masks=(mask.with_array(np.zeros_like(mask.array)),),
        segments=made.SEGMENTS,
    )
    assert not encoded(empty, instances, form(segmentation, keep_empty_frames=True), kinds=("seg",))


@pytest.mark.result_rule(2)
@pytest.mark.parametrize("segmentation", FORMS)
def test_a_retry_makes_the_same_bytes(
    segmentation: Segmentation, instances: list[Dataset], result: Result
) -> None:
    first, second = (
        encode(
            result, made.without_pixels(order), made.run(), ("seg",), forms=(form(segmentation),)
        )
        for order in (instances, instances[::-1])
    )
    assert _bytes(first[0].dataset) == _bytes(second[0].dataset)


def _bytes(ds: Dataset) -> bytes:
    with BytesIO() as file:
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()


@pytest.mark.parametrize("segmentation", FORMS)
def test_groups_of_frames_are_the_bytes_that_pydicom_would_write(
    segmentation: Segmentation, instances: list[Dataset], result: Result
) -> None:
    (each,) = encode(
        result, made.without_pixels(instances), made.run(), ("seg",), forms=(form(segmentation),)
    )
    written = _bytes(each.dataset)
    read = pydicom.dcmread(BytesIO(written))
    for groups in read.PerFrameFunctionalGroupsSequence:
        assert str(groups)  # decoded in full
    assert _bytes(read) == written


def test_a_label_map_has_the_numbers_that_its_segments_have() -> None:
    whole = basis(phantom())
    (part,) = whole.parts
    (seg,) = (made.reread(seg) for seg in encode_marks(whole, form(Segmentation.LABELMAP)).objects)
    assert [item.SegmentNumber for item in seg.SegmentSequence] == [0, 1, 2]
    assert seg.PixelPaddingValue == 0
    numbers = np.array([0, 1, 0, 2])
    by_uid = {
        str(plane.header.SOPInstanceUID): numbers[image]
        for plane, image in zip(part.mask.planes, part.mask.array, strict=True)
    }
    for groups, frame in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert np.array_equal(frame, by_uid[source.ReferencedSOPInstanceUID])


def test_a_fractional_segmentation_is_all_or_nothing(
    instances: list[Dataset], result: Result
) -> None:
    ((_, seg, _),) = encoded(result, instances, form(Segmentation.FRACTIONAL), kinds=("seg",))
    assert seg.SegmentationFractionalType == "OCCUPANCY"
    assert {*np.unique(seg.pixel_array)} == {0, seg.MaximumFractionalValue}
    back = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    (mask,) = result.masks
    assert np.array_equal(
        back.match_geometry(mask).array, np.array([0, 1, 0, 2], np.uint8)[mask.array]
    )


@pytest.mark.parametrize("segmentation", FORMS)
def test_the_report_refers_to_the_segments_of_the_form_that_it_is_of(
    segmentation: Segmentation, instances: list[Dataset], result: Result
) -> None:
    (_, seg, _), (_, sr, _) = encoded(result, instances, form(segmentation))
    numbers = {segment.TrackingUID: segment.SegmentNumber for segment in segments(seg)}
    volumes = made.groups(sr, "1411")
    assert len(volumes) == 2
    for group in volumes:
        (tracking,) = made.named(group, "112040")
        (item,) = made.named(group, SEGMENT)
        (reference,) = item.ReferencedSOPSequence
        assert reference.ReferencedSOPClassUID == seg.SOPClassUID
        assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == numbers[tracking.UID]


@pytest.mark.parametrize("segmentation", FORMS)
def test_on_single_images_the_report_refers_to_the_frame_of_the_segment(
    segmentation: Segmentation,
) -> None:
    """Which in a label map is that of the other segments of its image, too."""
    images = dicom_factory.series(name="single", shape=(3, 40, 48))
    masks, found = [], []
    for k, ds in enumerate(images):
        array = np.zeros((40, 48), np.uint8)
        array[5 : 15 + k, 6:20] = 1
        array[20:30, 30:34] = 3
        masks.append(ImageMask(sop_instance_uid=ds.SOPInstanceUID, array=array))
        found += [
            Finding(
                tracking_identifier=f"{label} {k}",
                code=made.HEART,
                segment_number=number,
                image=ds.SOPInstanceUID,
            )
            for number, label in ((1, "Lung"), (3, "Heart"))
        ]
    result = Result(
        outcome=Outcome.FINDINGS,
        image_masks=tuple(masks),
        segments=made.SEGMENTS,
        findings=tuple(found),
    )
    (_, seg, _), (_, sr, _) = encoded(result, images, form(segmentation))
    frames = seg.PerFrameFunctionalGroupsSequence
    cited = []
    for group in made.groups(sr, "1410"):
        for item in made.named(group, FRAME):
            (reference,) = item.ReferencedSOPSequence
            assert "ReferencedSegmentNumber" not in reference
            groups = frames[int(reference.ReferencedFrameNumber) - 1]
            source = groups.DerivationImageSequence[0].SourceImageSequence[0]
            cited.append(source.ReferencedSOPInstanceUID)
    assert cited == [finding.image for finding in result.findings]


@pytest.mark.result_rule(3, 11)
@pytest.mark.parametrize("segmentation", FORMS)
def test_split_segmentations_number_from_one_and_keep_what_is_tracked(
    segmentation: Segmentation, instances: list[Dataset], result: Result
) -> None:
    whole, one_each = form(segmentation), form(segmentation, split_every=1)
    objects = encoded(result, instances, whole, one_each)
    together, lung, heart, *reports = (each.dataset for each in objects)
    assert [len(segments(seg)) for seg in (together, lung, heart)] == [2, 1, 1]
    assert [s.SegmentNumber for seg in (lung, heart) for s in segments(seg)] == [1, 1]
    assert [s.TrackingUID for seg in (lung, heart) for s in segments(seg)] == [
        s.TrackingUID for s in segments(together)
    ]
    assert len({seg.SOPInstanceUID for seg in (together, lung, heart)}) == 3
    assert len({seg.SeriesInstanceUID for seg in (together, lung, heart)}) == 3
    assert lung.SeriesNumber != heart.SeriesNumber
    assert [each.forms for each in objects[:3]] == [
        (whole.label,),
        (one_each.label,),
        (one_each.label,),
    ]
    (item, other) = made.named(reports[1], SEGMENT)
    assert item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == lung.SOPInstanceUID
    assert other.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == heart.SOPInstanceUID
    assert other.ReferencedSOPSequence[0].ReferencedSegmentNumber == 1


def test_every_segment_is_in_one_of_the_split_objects() -> None:
    whole = basis(phantom(), numbers=(1, 2, 3))
    marks = encode_marks(whole, form(Segmentation.BINARY, split_every=2))
    assert [[s.segment.number for s in part.segments] for part in marks.parts] == [[1, 2], [3]]
    voxels = [int(made.reread(seg).pixel_array.sum()) for seg in marks.objects]
    array = whole.parts[0].mask.array
    assert voxels == [np.isin(array, (1, 2)).sum(), (array == 3).sum()]


def test_slices_of_several_series_are_referred_to_by_series(instances: list[Dataset]) -> None:
    whole = basis(phantom())
    (part,) = whole.parts
    other = part.mask.planes[0].header
    other.SeriesInstanceUID = instances[0].SeriesInstanceUID
    (seg,) = encode_marks(whole, form(Segmentation.BINARY)).objects
    by_series = {
        each.SeriesInstanceUID: [
            r.ReferencedSOPInstanceUID for r in each.ReferencedInstanceSequence
        ]
        for each in seg.ReferencedSeriesSequence
    }
    assert by_series[other.SeriesInstanceUID] == [other.SOPInstanceUID]
    assert [len(uids) for uids in by_series.values()] == [1, len(whole.sources) - 1]


@pytest.mark.parametrize("segmentation", [Segmentation.LABELMAP, Segmentation.FRACTIONAL])
def test_a_mask_may_lie_the_other_way_in_memory(segmentation):
    """That of a model which turns its axes, such as one for another orientation."""
    instances = dicom_factory.series(name="transposed", shape=(4, 16, 12))
    result = made.findings(instances, numbers=(1,))
    (mask,) = result.masks
    turned = replace(result, masks=(mask.with_array(np.asfortranarray(mask.array)),))
    form = Form(segmentation=segmentation, companions=())
    headers = made.without_pixels(instances)
    straight, other = (
        encode(each, headers, made.run(), ("seg",), forms=[form])[0].dataset
        for each in (result, turned)
    )
    assert straight.PixelData.getvalue() == other.PixelData.getvalue()
