"""The SEG: the same voxels at the same place, however the source lies."""

import highdicom as hd
import numpy as np
import pytest

from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests import dicom_factory
from tests.encoders import made

OBLIQUE = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
ORIENTATIONS = {
    "axial": dicom_factory.AXIAL,
    "sagittal": dicom_factory.SAGITTAL,
    "coronal": dicom_factory.CORONAL,
    "oblique": OBLIQUE,
    "feet first": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
}


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(name="seg phantom")


@pytest.fixture(scope="module")
def result(instances):
    return made.findings(instances)


@pytest.fixture(scope="module")
def seg(instances, result):
    return made.encoded(result, instances)["seg"]


def _seg(result, instances):
    return [ds for _, ds in made.every(result, instances, kinds=("seg",))]


def _read_back(seg):
    return hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)


@pytest.mark.result_rule(7, 8)
@pytest.mark.parametrize("order", ["as acquired", "reversed", "shuffled"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_voxels_come_back_equal_and_in_place(orientation, order):
    instances = dicom_factory.series(
        name=f"{orientation} {order}", orientation=ORIENTATIONS[orientation]
    )
    if order == "reversed":
        instances.reverse()
    elif order == "shuffled":
        instances = [
            instances[index] for index in np.random.default_rng(7).permutation(len(instances))
        ]
    result = made.findings(instances, numbers=(1,))
    seg = made.encoded(result, instances)["seg"]
    back = _read_back(seg).match_geometry(result.masks[0])
    assert np.array_equal(back.array, result.masks[0].array)
    assert np.allclose(_true_centre(instances), _centre(result.masks[0]), atol=1e-3)
    assert np.allclose(_true_centre(instances), _centre(_read_back(seg)), atol=1e-3)


def _true_centre(instances):
    """LPS mm of the phantom's box, from the headers alone (PS3.3 C.7.6.2.1.1)."""
    points = []
    for ds in instances:
        rows, columns = np.nonzero(ds.pixel_array > 0)
        along_row, along_column = np.reshape(np.array(ds.ImageOrientationPatient, float), (2, 3))
        row_mm, column_mm = ds.PixelSpacing
        points.append(
            np.array(ds.ImagePositionPatient, float)
            + columns[:, None] * column_mm * along_row
            + rows[:, None] * row_mm * along_column
        )
    return np.concatenate(points).mean(axis=0)


def _centre(volume):
    return volume.map_indices_to_reference(np.argwhere(volume.array)).mean(axis=0)


def test_the_patients_right_stays_right(instances, seg):
    """In LPS the right is negative; the phantom's box lies there by its headers."""
    assert _true_centre(instances)[0] < -10
    assert _centre(_read_back(seg))[0] < -10


@pytest.mark.result_rule(10)
def test_only_present_segments_are_described_and_numbered_without_gaps(seg, result):
    assert [(s.SegmentNumber, s.SegmentLabel) for s in seg.SegmentSequence] == [
        (1, "Lung"),
        (2, "Heart"),
    ]
    back = _read_back(seg).match_geometry(result.masks[0])
    assert np.array_equal(back.array == 2, result.masks[0].array == 3)


@pytest.mark.result_rule(9, 12)
def test_segments_are_coded_coloured_and_tracked(seg):
    assert seg.SegmentsOverlap == "NO"
    assert seg.SegmentationType == "BINARY"
    for segment in seg.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodingSchemeDesignator == "SCT"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "SCT"
        assert len(segment.RecommendedDisplayCIELabValue) == 3
        assert segment.TrackingUID.startswith("2.25.")
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmVersion == "1.2"
        assert "0123456789abcdef" in algorithm.AlgorithmParameters
    assert [s.TrackingID for s in seg.SegmentSequence] == ["Lung volume", "Heart volume"]


@pytest.mark.result_rule(5, 6)
def test_every_frame_names_the_source_under_it(seg, instances):
    place = {ds.SOPInstanceUID: ds for ds in instances}
    assert seg.NumberOfFrames == len(seg.PerFrameFunctionalGroupsSequence) > 2
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.SpatialLocationsPreserved == "YES"
        original = place[source.ReferencedSOPInstanceUID]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(
            np.array(position, float), np.array(original.ImagePositionPatient, float), atol=1e-3
        )
    assert (seg.Rows, seg.Columns) == (instances[0].Rows, instances[0].Columns)
    assert seg.FrameOfReferenceUID == instances[0].FrameOfReferenceUID
    series = seg.ReferencedSeriesSequence
    assert [item.SeriesInstanceUID for item in series] == [instances[0].SeriesInstanceUID]
    referenced = {item.ReferencedSOPInstanceUID for item in series[0].ReferencedInstanceSequence}
    assert referenced == set(place)


@pytest.mark.result_rule(10)
def test_no_voxel_no_object(instances, result):
    empty = Result(
        outcome=Outcome.FINDINGS,
        masks=(result.masks[0].with_array(np.zeros_like(result.masks[0].array)),),
        segments=made.SEGMENTS,
    )
    assert not _seg(empty, instances)
    assert not _seg(Result.failed("Out of memory."), instances)


def test_a_mask_that_does_not_fit_the_source_is_the_models_fault(instances, result):
    for mask in (
        result.masks[0].flip_spatial(2),
        result.masks[0][:, 1:, :],
        result.masks[0].pad([[1, 0], [0, 0], [0, 0]]),
    ):
        shifted = Result(outcome=Outcome.FINDINGS, masks=(mask,), segments=made.SEGMENTS)
        with pytest.raises(ModelError, match="does not lie on"):
            _seg(shifted, instances)


def test_a_mask_with_turned_rows_and_columns_is_the_models_fault(instances, result):
    """The same first voxels and the same shape: only the directions tell."""
    turned = hd.Volume(
        array=result.masks[0].array,
        affine=result.masks[0].affine[:, [0, 2, 1, 3]],
        coordinate_system="PATIENT",
        frame_of_reference_uid=instances[0].FrameOfReferenceUID,
    )
    wrong = Result(outcome=Outcome.FINDINGS, masks=(turned,), segments=made.SEGMENTS)
    with pytest.raises(ModelError, match="does not lie on"):
        _seg(wrong, instances)


def test_an_undescribed_segment_is_the_models_fault(instances, result):
    wrong = Result(outcome=Outcome.FINDINGS, masks=(result.masks[0],), segments=made.SEGMENTS[:1])
    with pytest.raises(ModelError, match="not described"):
        _seg(wrong, instances)


def test_a_source_without_slice_thickness_is_no_obstacle():
    instances = dicom_factory.series(name="no thickness")
    for ds in instances:
        del ds.SliceThickness
    assert set(made.encoded(made.findings(instances), instances)) == {"seg", "sr"}


def test_a_stack_that_jitters_is_placed_on_its_own_slices():
    """0.07 mm on 7 mm is normal: the frames lie where the source's do, to the digit."""
    jittery = dicom_factory.series(name="jitter", spacing=(7.0, 1.5, 2.0))
    for k, ds in enumerate(jittery):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, z + (0.0, 0.05, -0.02)[k % 3]]
    volume = hd.get_volume_from_series(jittery, rtol=0.05)
    mask = volume.with_array((volume.array == 400).astype(np.uint8))
    found = Result(outcome=Outcome.FINDINGS, masks=(mask,), segments=made.SEGMENTS[:1])
    (seg,) = _seg(found, jittery)
    place = {ds.SOPInstanceUID: list(ds.ImagePositionPatient) for ds in jittery}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        position = list(frame.PlanePositionSequence[0].ImagePositionPatient)
        assert position == place[source.ReferencedSOPInstanceUID]
