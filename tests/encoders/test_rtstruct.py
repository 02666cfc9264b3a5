"""Structure sets: contours that fill, on the source's own slices, to the mask, voxel for voxel."""

from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from pydicom.uid import RTStructureSetStorage
from skimage.draw import polygon2mask

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.form import Form, Kind, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests import dicom_factory
from tests.encoders import made
from tests.encoders.test_single_images import radiographs, result_of
from tests.validators import dcentvfy, dciodvfy

FORM = Form(segmentation=Segmentation.RTSTRUCT, companions=())
SHAPE = (7, 30, 26)
OBLIQUE = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
ORIENTATIONS = {
    "axial": dicom_factory.AXIAL,
    "coronal": dicom_factory.CORONAL,
    "sagittal": dicom_factory.SAGITTAL,
    "feet first": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "oblique": OBLIQUE,
}


def series(**changes):
    return dicom_factory.series(name="structures", shape=SHAPE, **changes)


def speckled(shape):
    """Pieces with holes, islands in holes, and pixels that touch at corners, of two segments."""
    random = np.random.default_rng(19)
    mask = np.where(random.random(shape) < 0.6, np.uint8(1), np.uint8(0))
    mask[1:3, 4:9, 5:20] = 3
    mask[-1] = 0
    return mask


def result_on(volume, *masks):
    return Result(
        outcome=Outcome.FINDINGS,
        masks=tuple(volume.with_array(mask) for mask in masks),
        segments=made.SEGMENTS,
        findings=tuple(made.finding(number, volume, masks[0]) for number in (1, 3)),
    )


def structures(result, instances, this_run=None):
    headers = made.without_pixels(instances)
    objects = encode(result, headers, this_run or made.run(), ("seg", "sr"), forms=[FORM])
    (ds,) = (each.dataset for each in objects if each.kind is Kind.RTSTRUCT)
    return made.reread(ds)


def frames_by_uid(instances):
    """{(SOP Instance UID, frame number): (position, axes along row and column, spacing, shape)}."""
    found = {}
    for ds in instances:
        shape = (ds.Rows, ds.Columns)
        if "PerFrameFunctionalGroupsSequence" not in ds:
            axes = np.reshape(ds.ImageOrientationPatient, (2, 3))
            place = np.array(ds.ImagePositionPatient, float)
            found[ds.SOPInstanceUID, None] = (place, axes, ds.PixelSpacing, shape)
            continue
        (shared,) = ds.SharedFunctionalGroupsSequence
        axes = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3))
        spacing = shared.PixelMeasuresSequence[0].PixelSpacing
        for number, groups in enumerate(ds.PerFrameFunctionalGroupsSequence, 1):
            place = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
            found[ds.SOPInstanceUID, number] = (place, axes, spacing, shape)
    return found


def filled(rtstruct, instances):
    """{ROI number: {frame: pixels}}, how often contours enclose the centre of each."""
    frames = frames_by_uid(instances)
    found = {}
    for roi in rtstruct.ROIContourSequence:
        on_frames = found.setdefault(roi.ReferencedROINumber, {})
        for contour in roi.ContourSequence:
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            (image,) = contour.ContourImageSequence
            key = (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"))
            place, axes, (row_mm, column_mm), shape = frames[key]
            points = np.reshape(np.array(contour.ContourData, float), (-1, 3))
            assert len(points) == contour.NumberOfContourPoints
            assert np.abs((points - place) @ np.cross(*axes)).max() < 1e-3
            columns, rows = ((points - place) @ axes.T / (column_mm, row_mm)).T
            inside = polygon2mask(shape, np.column_stack([rows, columns]))
            on_frames[key] = on_frames.get(key, np.zeros(shape, int)) + inside
    return found


def voxels_off(rtstruct, instances, mask_of):
    """Over all frames, ROIs for segments 1 and 3; `mask_of(frame key)` is the truth."""
    on_frames = filled(rtstruct, instances)
    off = 0
    for roi, segment in ((1, 1), (2, 3)):
        for key in frames_by_uid(instances):
            truth = mask_of(key) == segment
            counted = on_frames[roi].get(key, np.zeros(truth.shape, int))
            off += np.count_nonzero(counted != truth)  # added up: none is enclosed twice
    return off


@pytest.mark.parametrize("order", ["as acquired", "reversed"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.result_rule(8)
def test_filled_at_the_pixels_centres_they_are_the_mask(orientation, order):
    instances = series(orientation=ORIENTATIONS[orientation])
    volume = hd.get_volume_from_series(instances)
    mask = speckled(SHAPE)
    given = instances if order == "as acquired" else instances[::-1]
    rtstruct = structures(result_on(volume, mask), given)
    place = {tuple(np.round(p, 3)): k for k, p in enumerate(_slice_positions(volume))}
    index = {
        (ds.SOPInstanceUID, None): place[tuple(np.round(np.array(ds.ImagePositionPatient), 3))]
        for ds in instances
    }
    assert voxels_off(rtstruct, instances, lambda key: mask[index[key]]) == 0


def _slice_positions(volume):
    return [volume.map_indices_to_reference(np.array([[k, 0, 0]]))[0] for k in range(SHAPE[0])]


@pytest.mark.parametrize("parts", [1, 3], ids=["one object", "concatenation"])
@pytest.mark.result_rule(8)
def test_contours_of_a_multi_frame_source_name_object_and_frame(parts):
    instances = series()
    volume = hd.get_volume_from_series(instances)
    mask = speckled(SHAPE)
    objects = dicom_factory.enhanced(instances[::-1], parts=parts)
    rtstruct = structures(result_on(volume, mask), objects)
    z = [position[2] for position in _slice_positions(volume)]
    frames = frames_by_uid(objects)
    assert voxels_off(rtstruct, objects, lambda key: mask[z.index(frames[key][0][2])]) == 0


@pytest.mark.result_rule(8)
def test_contours_of_a_tilted_stack_lie_on_its_own_slices():
    two_rows = np.degrees(np.arctan2(2 * 1.5, 5.0))
    instances = series(tilt_deg=two_rows)
    grown = speckled((SHAPE[0], SHAPE[1] + 2 * (SHAPE[0] - 1), SHAPE[2]))
    affine = np.array([[0, 0, 2.0, -40], [0, 1.5, 0, -36], [5, 0, 0, -30], [0, 0, 0, 1.0]])
    volume = hd.Volume(
        grown, affine, "PATIENT", frame_of_reference_uid=instances[0].FrameOfReferenceUID
    )
    rtstruct = structures(result_on(volume, grown), instances)
    masks = {
        (ds.SOPInstanceUID, None): grown[k, 2 * k : 2 * k + SHAPE[1]]
        for k, ds in enumerate(instances)
    }
    assert voxels_off(rtstruct, instances, masks.get) == 0


def test_segments_that_overlap_share_one_object():
    instances = series()
    volume = hd.get_volume_from_series(instances)
    lung = np.zeros(SHAPE, np.uint8)
    lung[1:4, 5:20, 5:20] = 1
    heart = np.where(lung, np.uint8(3), np.uint8(0))
    rtstruct = structures(result_on(volume, lung, heart), instances)
    first, second = filled(rtstruct, instances).values()
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert [roi.ROINumber for roi in rtstruct.StructureSetROISequence] == [1, 2]


@pytest.fixture(scope="module")
def instances():
    return series()


@pytest.fixture(scope="module")
def result(instances):
    return result_on(hd.get_volume_from_series(instances), speckled(SHAPE))


@pytest.fixture(scope="module")
def rtstruct(result, instances):
    return structures(result, instances)


def test_it_says_what_each_structure_is_and_that_nobody_approved_it(rtstruct):
    assert rtstruct.SOPClassUID == RTStructureSetStorage
    assert (rtstruct.SeriesNumber, rtstruct.ApprovalStatus) == (9009, "UNAPPROVED")
    assert rtstruct.StructureSetDate == "20260304"
    assert "research use only" in rtstruct.StructureSetName
    lung, heart = rtstruct.StructureSetROISequence
    assert [lung.ROIName, heart.ROIName] == ["Lung", "Heart"]
    assert [lung.ROIDescription, heart.ROIDescription] == ["Lung volume", "Heart volume"]
    assert {roi.ROIGenerationAlgorithm for roi in (lung, heart)} == {"AUTOMATIC"}
    (algorithm,) = lung.ROIDerivationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Phantom box", "1.2")
    colours = [[*roi.ROIDisplayColor] for roi in rtstruct.ROIContourSequence]
    assert colours == [[230, 60, 60], [60, 120, 230]]
    observed = rtstruct.RTROIObservationsSequence[1]
    assert observed.RTROIIdentificationCodeSequence[0].CodeValue == made.HEART.value
    assert (observed.RTROIInterpretedType, observed.ROIObservationLabel) == ("ORGAN", "Heart")


def test_it_tracks_segments_under_the_uids_of_a_segmentation(rtstruct, result, instances):
    seg = made.encoded(result, instances)["seg"]
    assert [each.ROIObservationDescription for each in rtstruct.RTROIObservationsSequence] == [
        f"Tracking UID {segment.TrackingUID}" for segment in seg.SegmentSequence
    ]


@pytest.mark.result_rule(29)
def test_it_names_all_images_that_were_analysed(rtstruct, instances):
    (frame_of_reference,) = rtstruct.ReferencedFrameOfReferenceSequence
    assert frame_of_reference.FrameOfReferenceUID == instances[0].FrameOfReferenceUID
    (study,) = frame_of_reference.RTReferencedStudySequence
    assert study.ReferencedSOPInstanceUID == instances[0].StudyInstanceUID
    (referenced,) = study.RTReferencedSeriesSequence
    uids = {image.ReferencedSOPInstanceUID for image in referenced.ContourImageSequence}
    assert uids == {ds.SOPInstanceUID for ds in instances}


def test_the_report_beside_it_measures_and_draws_and_names_it(result, instances):
    headers = made.without_pixels(instances)
    objects = encode(result, headers, made.run(), ("seg", "sr"), forms=[FORM])
    assert [each.kind for each in objects] == [Kind.RTSTRUCT, Kind.SR]
    structure_set, report = (made.reread(each.dataset) for each in objects)
    assert made.named(report, "118565006")
    assert made.groups(report, "1410")
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for each in study.ReferencedSeriesSequence
        for item in each.ReferencedSOPSequence
    }
    assert structure_set.SOPInstanceUID in evidence


def test_a_radiograph_has_no_structures_for_it_lies_nowhere():
    images = radiographs()
    headers = made.without_pixels(images)
    objects = encode(result_of(images), headers, made.run(), ("seg", "sr"), forms=[FORM])
    assert [each.kind for each in objects] == [Kind.SR]


def test_long_names_are_told_apart_too(result, instances):
    long = replace(result, segments=tuple(replace(s, label="x" * 64) for s in result.segments))
    names = [roi.ROIName for roi in structures(long, instances).StructureSetROISequence]
    assert sorted(map(len, names)) == [64, 64]
    assert len(set(names)) == 2


def test_names_are_told_apart():
    images = dicom_factory.series(name="slices", shape=(3, 40, 48))
    twice = result_of(images)
    doubled = Result(
        outcome=twice.outcome,
        image_masks=(*twice.image_masks, *twice.image_masks),
        segments=twice.segments,
        findings=twice.findings,
    )
    names = [roi.ROIName for roi in structures(doubled, images).StructureSetROISequence]
    assert names == ["Lung", "Heart", "Lung 2", "Heart 2"]


@pytest.mark.validators
@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.result_rule(19)
def test_independent_programs_find_no_error(result, instances, tmp_path, multi_frame):
    given = dicom_factory.enhanced(instances) if multi_frame else instances
    sources = dicom_factory.write(given, tmp_path / "source")
    objects = encode(result, made.without_pixels(given), made.run(), ("seg", "sr"), forms=[FORM])
    paths = made.written(objects, tmp_path)
    assert dciodvfy(paths["rtstruct"]) == []
    assert dcentvfy([*sources, *paths.values()]) == []
