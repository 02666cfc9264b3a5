"""What a faulty encoder would make is found on the disk, whatever it is; what is right passes."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.form import ALONE, COMPANIONS, Form, ReportForm, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import (
    BoxInImage,
    Finding,
    ImageMask,
    MapKind,
    Measurement,
    Result,
    ResultMap,
    Segment,
)
from tests.dicom_factory import AXIAL, CORONAL, SAGITTAL, enhanced, radiograph, series
from tests.encoders import made
from tests.gate.checked import KINDS, Alter, Bench

SHAPE = (6, 24, 20)
LEFT_LUNG = Code("44029006", "SCT", "Left lung")
RIGHT_LUNG = Code("3341006", "SCT", "Right lung")


@pytest.fixture(scope="module")
def instances() -> list[Dataset]:
    return series(name="gate", shape=SHAPE)


@pytest.fixture(scope="module")
def result(instances: list[Dataset]) -> Result:
    return made.findings(instances)


@pytest.fixture
def bench(tmp_path: Path, instances: list[Dataset], result: Result) -> Bench:
    return Bench(tmp_path, instances, result)


def bits(ds: Dataset) -> np.ndarray:
    return ds.pixel_array.reshape(ds.NumberOfFrames, ds.Rows, ds.Columns)


def set_bits(ds: Dataset, frames: np.ndarray) -> None:
    ds.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    ds.NumberOfFrames = len(frames)


def positions(ds: Dataset) -> list[Dataset]:
    return [groups.PlanePositionSequence[0] for groups in ds.PerFrameFunctionalGroupsSequence]


def flip_rows(ds: Dataset) -> None:
    set_bits(ds, bits(ds)[:, ::-1])


def mirror_columns(ds: Dataset) -> None:
    set_bits(ds, bits(ds)[:, :, ::-1])


def shift_by_a_row(ds: Dataset) -> None:
    set_bits(ds, np.roll(bits(ds), 1, axis=1))


def shift_by_a_slice(ds: Dataset) -> None:
    """Each frame has the place of the next one."""
    for item in positions(ds):
        x, y, z = item.ImagePositionPatient
        item.ImagePositionPatient = [x, y, z + 5]


def shift_with_its_reference(ds: Dataset) -> None:
    """The first two frames of the first segment have changed places, and name each other's image:
    only the voxels can tell."""
    one, two = ds.PerFrameFunctionalGroupsSequence[0], ds.PerFrameFunctionalGroupsSequence[-1]
    for keyword in ("PlanePositionSequence", "DerivationImageSequence"):
        a, b = one[keyword].value, two[keyword].value
        one[keyword].value, two[keyword].value = copy.deepcopy(b), copy.deepcopy(a)


def name_the_next_image(ds: Dataset) -> None:
    sources = [g.DerivationImageSequence[0].SourceImageSequence[0] for g in _groups(ds)]
    uids = [source.ReferencedSOPInstanceUID for source in sources]
    for source, uid in zip(sources, [*uids[1:], uids[0]], strict=True):
        source.ReferencedSOPInstanceUID = uid


def one_voxel_more(ds: Dataset) -> None:
    frames = bits(ds).copy()
    frames[0, 0, 0] ^= 1
    set_bits(ds, frames)


def one_voxel_less(ds: Dataset) -> None:
    frames = bits(ds).copy()
    at = tuple(np.argwhere(frames)[-1])
    frames[at] = 0
    set_bits(ds, frames)


def drop_a_frame(ds: Dataset) -> None:
    set_bits(ds, bits(ds)[:-1])
    ds.PerFrameFunctionalGroupsSequence = _groups(ds)[:-1]


def add_a_frame(ds: Dataset) -> None:
    set_bits(ds, bits(ds)[[*range(ds.NumberOfFrames), 0]])
    ds.PerFrameFunctionalGroupsSequence = [*_groups(ds), copy.deepcopy(_groups(ds)[0])]


def cut_off_pixels(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:-2]


def say_more_frames(ds: Dataset) -> None:
    ds.NumberOfFrames += 1


def swap_segments(ds: Dataset) -> None:
    one, two = ds.SegmentSequence
    one.SegmentNumber, two.SegmentNumber = two.SegmentNumber, one.SegmentNumber


def swap_labels(ds: Dataset) -> None:
    one, two = ds.SegmentSequence
    one.SegmentLabel, two.SegmentLabel = two.SegmentLabel, one.SegmentLabel


def _groups(ds: Dataset) -> list[Dataset]:
    return list(ds.PerFrameFunctionalGroupsSequence)


VOXELS: dict[str, Alter] = {
    function.__name__: function
    for function in (
        *(flip_rows, mirror_columns, shift_by_a_row, shift_by_a_slice, shift_with_its_reference),
        *(name_the_next_image, one_voxel_more, one_voxel_less, drop_a_frame, add_a_frame),
        *(cut_off_pixels, say_more_frames, swap_segments, swap_labels),
    )
}


@pytest.mark.result_rule(7)
def test_what_is_right_passes(bench: Bench) -> None:
    bench.check()


@pytest.mark.result_rule(7, 9)
@pytest.mark.parametrize("how", VOXELS)
def test_every_fault_of_a_segmentation_is_found(bench: Bench, how: str) -> None:
    with pytest.raises(ResultMismatch, match=r"^(seg|binary): "):
        bench.alter("seg", VOXELS[how]).check()


def test_a_segmentation_that_is_missing_is_found(bench: Bench) -> None:
    (seg, *others), (path, *paths) = bench.encoded, bench.paths
    assert seg.kind == "seg"
    assert path.exists()
    bench.encoded, bench.paths = others, paths
    with pytest.raises(ResultMismatch):
        bench.check()


IDENTITY: dict[str, Alter] = {
    "patient ID": lambda ds: setattr(ds, "PatientID", "SOMEBODY ELSE"),
    "name": lambda ds: setattr(ds, "PatientName", "Else^Somebody"),
    "one letter": lambda ds: setattr(ds, "PatientName", str(ds.PatientName)[:-1]),
    "letters of another set": lambda ds: setattr(ds, "SpecificCharacterSet", "ISO_IR 144"),
    "issuer": lambda ds: setattr(ds, "IssuerOfPatientID", None),
    "birth date": lambda ds: setattr(ds, "PatientBirthDate", "19600102"),
    "other ID": lambda ds: setattr(ds, "OtherPatientIDs", "ADDED"),
    "study": lambda ds: setattr(ds, "StudyInstanceUID", "2.25.1"),
    "accession number": lambda ds: setattr(ds, "AccessionNumber", "ACC-2"),
    "its class": lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
    "its UID": lambda ds: setattr(ds, "SOPInstanceUID", "2.25.2"),
    "its series": lambda ds: setattr(ds, "SeriesInstanceUID", "2.25.3"),
    "private element": lambda ds: ds.private_block(0x11, "X", create=True).add_new(1, "LO", "x"),
}


@pytest.mark.result_rule(1, 25)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", IDENTITY)
def test_another_patient_study_or_object_is_found(
    tmp_path: Path, result: Result, what: str, kind: str
) -> None:
    instances = series(name="gate", shape=SHAPE, patient_name="Müller^Jürgen")
    with pytest.raises(ResultMismatch, match=f"^{kind}: "):
        Bench(tmp_path, instances, result).alter(kind, IDENTITY[what]).check()


def test_another_frame_of_reference_is_found(bench: Bench) -> None:
    bench.alter("seg", lambda ds: setattr(ds, "FrameOfReferenceUID", "2.25.4"))
    with pytest.raises(ResultMismatch, match="FrameOfReferenceUID"):
        bench.check()


def refer_elsewhere(ds: Dataset) -> None:
    """One of its references, to what was not analysed."""
    uids = (each for each in ds.iterall() if each.keyword == "ReferencedSOPInstanceUID")
    next(uids).value = "2.25.5"


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_to_what_was_not_analysed_is_found(bench: Bench, kind: str) -> None:
    with pytest.raises(ResultMismatch, match="not analysed"):
        bench.alter(kind, refer_elsewhere).check()


def private_within(ds: Dataset) -> None:
    (equipment,) = ds.ContributingEquipmentSequence
    equipment.private_block(0x11, "X", create=True).add_new(1, "LO", "x")


def test_a_private_element_in_an_item_is_found(bench: Bench) -> None:
    with pytest.raises(ResultMismatch, match="private"):
        bench.alter("sr", private_within).check()


def alter_a_number(ds: Dataset) -> None:
    (item, *_) = made.named(ds, made.VOLUME.value)
    item.MeasuredValueSequence[0].NumericValue = "1.5"


def swap_numbers(ds: Dataset) -> None:
    one, two = (item.MeasuredValueSequence[0] for item in made.named(ds, made.VOLUME.value))
    one.NumericValue, two.NumericValue = two.NumericValue, one.NumericValue


def alter_a_unit(ds: Dataset) -> None:
    (item, *_) = made.named(ds, made.VOLUME.value)
    item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "L"


def say_nothing_found(ds: Dataset) -> None:
    (item, *_) = made.named(ds, "111017")
    item.ConceptCodeSequence[0].CodeValue = "111241"


def lose_a_group(ds: Dataset) -> None:
    for item in made.walk(ds):
        if "ContentSequence" in item:
            item.ContentSequence = [
                child for child in item.ContentSequence if child not in made.groups(ds, "1411")[:1]
            ]


@pytest.mark.result_rule(15)
@pytest.mark.parametrize(
    "how", [alter_a_number, swap_numbers, alter_a_unit, say_nothing_found, lose_a_group]
)
def test_every_fault_of_a_report_is_found(bench: Bench, how: Alter) -> None:
    with pytest.raises(ResultMismatch, match=r"^sr: its numbers|^sr: it states another outcome"):
        bench.alter("sr", how).check()


@pytest.mark.parametrize("content", [b"", b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 40])
def test_what_is_no_whole_file_is_found(bench: Bench, content: bytes) -> None:
    bench.paths[0].write_bytes(content)
    with pytest.raises(ResultMismatch, match=r"^seg: "):
        bench.check()


def test_a_file_that_is_cut_off_is_found(bench: Bench) -> None:
    for path in bench.paths:
        whole = path.read_bytes()
        for length in range(200, len(whole), 997):
            path.write_bytes(whole[:length])
            with pytest.raises(ResultMismatch):
                bench.check()
        path.write_bytes(whole)


def lungs(instances: Sequence[Dataset], *, swapped: bool) -> Result:
    """Low columns are the patient's right (AXIAL)."""
    volume = hd.get_volume_from_series(list(instances))
    array = np.zeros(volume.shape, np.uint8)
    array[1:4, 5:9, 2:6], array[1:4, 5:9, 12:16] = (2, 1) if swapped else (1, 2)
    right, left = (
        Segment(number=number, label=code.meaning, category=made.ANATOMY, type=code)
        for number, code in ((1, RIGHT_LUNG), (2, LEFT_LUNG))
    )
    return Result(
        outcome=Outcome.FINDINGS,
        masks=(volume.with_array(array),),
        segments=(right, left),
        findings=tuple(
            Finding(tracking_identifier=each.label, code=each.type, segment_number=each.number)
            for each in (right, left)
        ),
    )


@pytest.mark.result_rule(24)
@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL])
def test_left_lies_on_the_patients_left(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    instances = series(name="lungs", shape=SHAPE, orientation=orientation)
    swapped = orientation == SAGITTAL  # there, columns do not go from right to left
    Bench(tmp_path / "right", instances, lungs(instances, swapped=False)).check()
    wrong = Bench(tmp_path / "wrong", instances, lungs(instances, swapped=True))
    if swapped:
        wrong.check()
    else:
        with pytest.raises(ResultMismatch, match="left and a right"):
            wrong.check()


@pytest.mark.result_rule(24)
@pytest.mark.parametrize(
    ("orientation", "is_right"), [(["L", "F"], True), (["R", "F"], False), (None, True)]
)
def test_left_on_a_radiograph_is_what_its_orientation_says(
    tmp_path: Path, orientation: list[str] | None, is_right: bool
) -> None:
    """Where it says nothing, nobody knows how it is to be looked at."""
    image = radiograph(np.zeros((24, 20), np.uint16))
    if orientation:
        image.PatientOrientation = orientation
    array = np.zeros((24, 20), np.uint8)
    array[4:9, 2:6], array[4:9, 12:16] = 1, 2
    whole = lungs(series(name="lungs", shape=SHAPE), swapped=False)
    mask = ImageMask(sop_instance_uid=image.SOPInstanceUID, array=array)
    bench = Bench(tmp_path, [image], replace(whole, masks=(), image_masks=(mask,)))
    if is_right:
        bench.check()
    else:
        with pytest.raises(ResultMismatch, match="left and a right"):
            bench.check()


SOURCES: dict[str, list[Dataset]] = {
    "axial": series(name="a", shape=SHAPE),
    "feet to head": series(name="b", shape=SHAPE)[::-1],
    "shuffled": [series(name="c", shape=SHAPE)[k] for k in (3, 0, 5, 1, 4, 2)],
    "coronal": series(name="d", shape=SHAPE, orientation=CORONAL),
    "sagittal": series(name="e", shape=SHAPE, orientation=SAGITTAL),
    "feet first": series(name="f", shape=SHAPE, orientation=(-1.0, 0, 0, 0, 1.0, 0)),
    "oblique": series(name="g", shape=SHAPE, orientation=(0.8, 0.6, 0, -0.6, 0.8, 0)),
    "odd columns": series(name="h", shape=(6, 23, 19)),
    "fine pixels": series(name="i", shape=SHAPE, spacing=(1.0, 0.1, 0.1)),
    "far away": series(name="j", shape=SHAPE, origin=(-1234.56789, 987.654321, -3210.12345)),
    "multi-frame": enhanced(series(name="m", shape=SHAPE)),
    "concatenation": enhanced(series(name="c", shape=SHAPE), parts=3),
    "latin": series(name="k", shape=SHAPE, charset="ISO_IR 100", patient_name="Müller^Jürgen"),
    "japanese": series(
        name="n", shape=SHAPE, charset=["", "ISO 2022 IR 87"], patient_name="Yamada^Tarou=山田^太郎"
    ),
}
FORMS = (
    ALONE,
    Form(companions=(), keep_empty_frames=True),
    Form(companions=(), split_every=1),
    Form(companions=(), segmentation=Segmentation.LABELMAP, report=ReportForm.SPATIAL),
    Form(companions=(), segmentation=Segmentation.FRACTIONAL),
    Form(companions=COMPANIONS, segmentation=Segmentation.RTSTRUCT),
    Form(companions=(), segmentation=Segmentation.NONE, report=ReportForm.COMPREHENSIVE),
)


@pytest.mark.result_rule(8)
@pytest.mark.parametrize("name", SOURCES)
def test_nothing_that_is_right_is_refused(tmp_path: Path, name: str) -> None:
    """In every geometry, and in every form at once; our words need letters of their own."""
    instances = SOURCES[name]
    is_multi_frame = "PerFrameFunctionalGroupsSequence" in instances[0]
    planes = series(name=name[0], shape=SHAPE) if is_multi_frame else instances
    result = made.findings(planes)
    segments = (replace(result.segments[0], label="Lungenflügel µ王"), *result.segments[1:])
    labelled = replace(result, segments=segments)
    Bench(tmp_path, instances, labelled, forms=FORMS).check()


def test_overlapping_masks_pass_and_are_told_apart(
    tmp_path: Path, instances: list[Dataset], result: Result
) -> None:
    (mask,) = result.masks
    both = (
        mask.with_array(np.uint8(mask.array == 1)),
        mask.with_array(np.uint8(mask.array > 0) * 3),
    )
    twice = replace(result, masks=both)
    Bench(tmp_path / "right", instances, twice).check()
    with pytest.raises(ResultMismatch, match=r"^seg: "):
        Bench(tmp_path / "wrong", instances, twice).alter("seg", one_voxel_less).check()


def test_regions_classes_and_probabilities_pass(
    tmp_path: Path, instances: list[Dataset], result: Result
) -> None:
    uid = instances[0].SOPInstanceUID
    box = Finding(
        tracking_identifier="Nodule",
        code=made.LUNG,
        region=BoxInImage(sop_instance_uid=uid, low=(2.0, 3.0), high=(9.0, 8.0)),
        probability=0.931,
    )
    length = Measurement(name=made.VOLUME, value=1234.56789, unit=made.MILLILITER)
    seen = Finding(
        tracking_identifier="Ergüß", code=made.HEART, image=uid, measurements=(length, length)
    )
    found = (*result.findings, box, replace(box, probability=0.2), seen)
    Bench(tmp_path, instances, replace(result, findings=found)).check()


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.FINDINGS])
def test_every_outcome_passes_and_is_not_taken_for_another(
    tmp_path: Path, instances: list[Dataset], result: Result, outcome: Outcome
) -> None:
    other = replace(result, outcome=outcome, reason="Because.")
    bench = Bench(tmp_path, instances, other)
    bench.check()
    if outcome is not Outcome.PARTLY:
        bench.work = replace(bench.work, result=result)
        with pytest.raises(ResultMismatch):
            bench.check()


def with_map(instances: Sequence[Dataset], result: Result) -> Result:
    volume = hd.get_volume_from_series(list(instances))
    values = np.linspace(0, 1, volume.array.size, dtype=np.float32).reshape(volume.shape)
    found = ResultMap(kind=MapKind.SALIENCY, label="Why", volume=volume.with_array(values))
    return replace(result, maps=(found,))


def alter_a_value(ds: Dataset) -> None:
    values = np.frombuffer(ds.FloatPixelData, np.float32).copy()
    values[7] += 0.001
    ds.FloatPixelData = values.tobytes()


def turn_over(ds: Dataset) -> None:
    values = np.frombuffer(ds.FloatPixelData, np.float32).reshape(SHAPE)
    ds.FloatPixelData = np.ascontiguousarray(values[::-1]).tobytes()


@pytest.mark.parametrize("how", [alter_a_value, turn_over, shift_by_a_slice])
def test_every_fault_of_a_map_is_found(
    tmp_path: Path, instances: list[Dataset], result: Result, how: Alter
) -> None:
    bench = Bench(tmp_path, instances, with_map(instances, result))
    bench.check()
    with pytest.raises(ResultMismatch, match=r"^pm: "):
        bench.alter("pm", how).check()


def test_further_inputs_are_of_the_same_patient(
    tmp_path: Path, instances: list[Dataset], result: Result
) -> None:
    prior = series(name="prior", shape=SHAPE)
    Bench(tmp_path / "own", instances, result, evidence=made.without_pixels(prior)).check()
    for ds in prior:
        ds.PatientID = "SOMEBODY ELSE"
    with pytest.raises(ResultMismatch, match="PatientID"):
        Bench(tmp_path / "other", instances, result, evidence=made.without_pixels(prior)).check()


def test_objects_do_not_share_their_names(bench: Bench) -> None:
    bench.encoded = [bench.encoded[0], *bench.encoded]
    bench.paths = [bench.paths[0], *bench.paths]
    with pytest.raises(ResultMismatch, match="share"):
        bench.check()
