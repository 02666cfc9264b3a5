"""Maps: float32 that comes back to the bit, on the source's own frames, for research."""

from io import BytesIO

import highdicom as hd
import numpy as np
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import MapKind, Result, ResultMap
from tests import dicom_factory
from tests.encoders import made
from tests.nrrd import nrrd
from tests.validators import dcentvfy, dciodvfy, paramap2itkimage

SHAPE = (6, 24, 20)
KINDS = ("seg", "sr")


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(
        name="maps", shape=SHAPE, orientation=(0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
    )


@pytest.fixture(scope="module")
def volume(instances):
    return hd.get_volume_from_series(instances)


def result_of(volume, *kinds, outcome=Outcome.NONE):
    values = np.random.default_rng(1).random(volume.spatial_shape, dtype=np.float32)
    maps = tuple(
        ResultMap(kind=kind, label=f"The {kind}", volume=volume.with_array(values / (1 + number)))
        for number, kind in enumerate(kinds)
    )
    return Result(outcome=outcome, maps=maps)


@pytest.mark.air("parametric map")
def test_each_map_comes_back_to_the_bit_in_a_series_of_its_own(instances, volume):
    result = result_of(volume, MapKind.SALIENCY, MapKind.UNCERTAINTY)
    objects = made.every(result, instances)
    assert [kind for kind, _ in objects] == ["sr", "pm", "pm"]
    assert [ds.SeriesNumber for _, ds in objects] == [9002, 9003, 9013]
    assert len({ds.SeriesInstanceUID for _, ds in objects}) == 3
    for (_, pm), each in zip(objects[1:], result.maps, strict=True):
        back = hd.pm.ParametricMap.from_dataset(pm).get_volume(dtype=np.float32)
        assert np.array_equal(back.match_geometry(each.volume).array, each.volume.array)


def test_it_says_what_its_numbers_are_and_that_it_is_for_research(instances, volume):
    (_, (_, pm)) = made.every(result_of(volume, MapKind.SALIENCY), instances)
    assert pm.ContentQualification == "RESEARCH"
    assert pm.SeriesDescription == "AI saliency map (research use only) Phantom box"
    (shared,) = pm.SharedFunctionalGroupsSequence
    (mapping,) = shared.RealWorldValueMappingSequence
    assert mapping.LUTExplanation == "The saliency"
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    first, last = (
        mapping.DoubleFloatRealWorldValueFirstValueMapped,
        mapping.DoubleFloatRealWorldValueLastValueMapped,
    )
    assert (first, last) == (0, 1)
    assert pm.BodyPartExamined == instances[0].BodyPartExamined


def test_each_frame_names_the_source_under_it(instances, volume):
    (_, (_, pm)) = made.every(result_of(volume, MapKind.SALIENCY), instances)
    place = {ds.SOPInstanceUID: ds.ImagePositionPatient for ds in instances}
    assert pm.NumberOfFrames == len(instances)
    for groups in pm.PerFrameFunctionalGroupsSequence:
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert position == place[source.ReferencedSOPInstanceUID]


def test_a_map_of_a_concatenation_names_its_parts(instances, volume):
    parts = dicom_factory.enhanced(instances, parts=2)
    (_, (_, pm)) = made.every(result_of(volume, MapKind.SALIENCY), parts)
    named = {
        groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for groups in pm.PerFrameFunctionalGroupsSequence
    }
    assert named == {ds.SOPInstanceUID for ds in parts}


def test_a_retry_makes_the_same_bytes(instances, volume):
    headers = made.without_pixels(instances)
    result = result_of(volume, MapKind.SALIENCY, MapKind.UNCERTAINTY)
    first = encode(result, headers, made.run(), KINDS)
    second = encode(result, headers[::-1], made.run(), KINDS)
    assert [_bytes(ds) for _, ds, _ in first] == [_bytes(ds) for _, ds, _ in second]


def test_a_failed_analysis_has_no_map(instances, volume):
    result = result_of(volume, MapKind.SALIENCY, outcome=Outcome.FAILED)
    assert [kind for kind, _ in made.every(result, instances)] == ["sr"]


@pytest.mark.parametrize("fault", ["not a number", "moved", "float64"])
def test_a_map_that_is_none_is_the_models_fault(instances, volume, fault):
    array = np.zeros(volume.spatial_shape, np.float64 if fault == "float64" else np.float32)
    if fault == "not a number":
        array[0, 0, 0] = np.nan
    wrong = volume.with_array(array)
    if fault == "moved":
        wrong = wrong.flip_spatial(1)
    maps = (ResultMap(kind=MapKind.SALIENCY, label="x", volume=wrong),)
    with pytest.raises(ModelError, match="The map"):
        made.every(Result(outcome=Outcome.NONE, maps=maps), instances)


@pytest.mark.validators
def test_independent_programs_find_no_error(instances, volume, tmp_path):
    result = result_of(volume, MapKind.SALIENCY, MapKind.UNCERTAINTY)
    encoded = encode(result, made.without_pixels(instances), made.run(), KINDS)
    paths = made.written(encoded, tmp_path)
    sources = dicom_factory.write(instances, tmp_path / "source")
    for path in paths.values():
        assert dciodvfy(path) == []
    assert dcentvfy([*sources, *paths.values()]) == []


def _bytes(ds):
    with BytesIO() as file:
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()


@pytest.mark.parametrize(
    ("body_part", "laterality", "expected"),
    [
        ("CHEST", None, ("816094009", "U")),
        ("BREAST", "L", ("76752008", "L")),
        ("", None, ("123037004", "U")),
    ],
)
@pytest.mark.result_rule(24)
def test_frames_say_which_part_of_the_body_they_show(body_part, laterality, expected):
    given = dicom_factory.series(name="parts", shape=SHAPE, body_part=body_part)
    for ds in given:
        ds.Laterality = laterality
    volume = hd.get_volume_from_series(given)
    (_, (_, pm)) = made.every(result_of(volume, MapKind.SALIENCY), given)
    (anatomy,) = pm.SharedFunctionalGroupsSequence[0].FrameAnatomySequence
    (region,) = anatomy.AnatomicRegionSequence
    assert (region.CodeValue, anatomy.FrameLaterality) == expected


@pytest.mark.validators
@pytest.mark.result_rule(7)
@pytest.mark.parametrize("multi_frame", [False, True])
def test_dcmqi_reads_the_same_numbers_at_the_same_place(instances, volume, tmp_path, multi_frame):
    result = result_of(volume, MapKind.SALIENCY)
    given = dicom_factory.enhanced(instances) if multi_frame else instances
    encoded = encode(result, made.without_pixels(given), made.run(), KINDS)
    path = made.written(encoded, tmp_path)["pm"]
    array, matrix, origin = nrrd(paramap2itkimage(path, tmp_path / "nrrd"))
    (found,) = result.maps
    places = np.argwhere(np.ones(array.shape, bool))[:, ::-1] @ matrix.T + origin
    ours = found.volume.map_reference_to_indices(places).round().astype(int)
    assert np.array_equal(array.ravel(), found.volume.array[tuple(ours.T)])
