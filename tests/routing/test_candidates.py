"""The series of a study as rules judge them: mixed ones in their parts, each with its facts."""

import copy
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import (
    JPEG2000,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from dicom_ai_node.config.rules import FACTS
from dicom_ai_node.folder import described
from dicom_ai_node.header import values_of
from dicom_ai_node.routing.candidates import KEYWORDS, candidates
from dicom_ai_node.study import Described, Instance, Series
from tests.dicom_factory import AXIAL, CORONAL, SAGITTAL, series, write


def seen(instances: Sequence[Dataset]) -> list[Described]:
    """As they are read from files, without the files."""
    found = []
    for ds in instances:
        values = {keyword: values_of(ds, keyword) for keyword in KEYWORDS}
        instance = Instance(
            sop_class_uid=ds.SOPClassUID,
            sop_instance_uid=ds.SOPInstanceUID,
            series_instance_uid=ds.SeriesInstanceUID,
            study_instance_uid=ds.StudyInstanceUID,
            transfer_syntax_uid=ds.file_meta.TransferSyntaxUID,
            sha256="a" * 64,
            path=Path(ds.SOPInstanceUID),
        )
        found.append((instance, {k: v for k, v in values.items() if v}))
    return found


def found_in(*instances: Sequence[Dataset]) -> list[Series]:
    return candidates(seen([ds for each in instances for ds in each]))


def stack(name: str = "s", number: int = 6, *, into: str = "s", **more: Any) -> list[Dataset]:
    """Slices of the series `into`; other keys are attributes of every slice."""
    made = {k: more.pop(k) for k in ("orientation", "spacing", "origin", "modality") if k in more}
    shared = series(name=name, shape=(number, 4, 4), study="study", **made)
    instances = [copy.deepcopy(ds) for ds in shared]  # of headers that slices have in common
    for ds in instances:
        ds.SeriesInstanceUID = series(name=into, shape=(1, 4, 4))[0].SeriesInstanceUID
        ds.SeriesDescription = "CT"
        for keyword, value in more.items():
            setattr(ds, keyword, value)
    return instances


def fact(name: str, *instances: Sequence[Dataset]) -> Any:
    """The one value, or None where it is missing."""
    (one,) = found_in(*instances)
    values = one.facts.get(name, (None,))
    return values[0] if len(values) == 1 else values


def parts(*instances: Sequence[Dataset]) -> dict[str, int]:
    return {each.part: len(each.instances) for each in found_in(*instances)}


def test_a_plain_stack_is_one_series_with_its_facts() -> None:
    (one,) = found_in(stack(spacing=(5.0, 1.5, 2.0), ConvolutionKernel=["I31f", "3"]))
    assert (one.part, one.modality, one.attributes["KVP"]) == ("", "CT", (120.0,))
    assert one.facts == {
        "instances": (6,),
        "frames": (6,),
        "parts": (1,),
        "transfer_syntaxes": (ExplicitVRLittleEndian,),
        "lossy": (False,),
        "matrices": (1,),
        "frames_of_reference": (1,),
        "kernel": ("3", "I31f"),
        "age": (66.0,),
        "orientations": (1,),
        "plane": ("axial",),
        "spacing": (5.0,),
        "regular": (True,),
        "coverage_mm": (25.0,),
        "duplicates": (0,),
        "phases": (1,),
        "shear_mm": (0.0,),
    }


def test_every_fact_that_a_rule_may_ask_is_computed() -> None:
    (one,) = found_in(stack(ConvolutionKernel="B", ContrastBolusAgent="IOHEXOL"))
    assert set(one.facts) == FACTS - {"calling_ae", "called_ae"}


OBLIQUE = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [(AXIAL, "axial"), (CORONAL, "coronal"), (SAGITTAL, "sagittal"), (OBLIQUE, "oblique")],
)
def test_the_plane_is_that_of_the_geometry(orientation: Sequence[float], plane: str) -> None:
    assert fact("plane", stack(orientation=orientation)) == plane


@pytest.mark.result_rule(30)
def test_jitter_of_a_scanner_is_regular_and_a_missing_slice_is_not() -> None:
    jittering, missing = stack(spacing=(7.0, 1, 1)), stack(number=8)
    jittering[2].ImagePositionPatient[2] += 0.07
    del missing[3]
    assert fact("regular", jittering) is True
    assert fact("regular", missing) is False
    assert fact("spacing", missing) == 5.0


@pytest.mark.result_rule(30)
def test_gantry_tilt_is_told_in_mm() -> None:
    tilted = stack(number=5)
    for index, ds in enumerate(tilted):
        ds.ImagePositionPatient[1] += 1.5 * index
    assert fact("shear_mm", tilted) == 6.0


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", None),
        ("ImageOrientationPatient", None),
        ("ImagePositionPatient", ["NaN", "0", "0"]),
        ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"]),
        ("ImageOrientationPatient", ["2", "0", "0", "0", "1", "0"]),
        ("ImagePositionPatient", ["0", "0"]),
    ],
)
def test_what_is_no_geometry_gives_no_facts_of_it(keyword: str, value: Any) -> None:
    """Missing to a rule, not false; one image is enough."""
    broken = stack()
    setattr(broken[4], keyword, value)
    (one,) = found_in(broken)
    assert one.facts["instances"] == (6,)
    geometric = {"plane", "spacing", "regular", "duplicates", "shear_mm", "coverage_mm", "phases"}
    assert not set(one.facts) & (geometric | {"orientations"})


def test_the_frames_of_multi_frame_objects_are_counted() -> None:
    enhanced = stack(number=2, modality="MR", SOPClassUID=EnhancedMRImageStorage)
    for ds in enhanced:
        ds.NumberOfFrames = 30
    assert (fact("frames", enhanced), fact("instances", enhanced)) == (60, 2)
    assert fact("plane", enhanced) is None


def test_one_slice_has_a_plane_and_no_spacing() -> None:
    assert [fact(f, stack(number=1)) for f in ("plane", "coverage_mm")] == ["axial", 0.0]
    assert [fact(f, stack(number=1)) for f in ("spacing", "regular")] == [None, None]


@pytest.mark.parametrize(
    ("agent", "description", "contrast"),
    [
        ("IOHEXOL 300", "CT", True),
        ("NONE", "CT", False),
        (None, "Abdomen nativ", False),
        (None, "Thorax w/o contrast", False),
        (None, "Head non-contrast", False),
        (None, "T1_POST_GD", True),
        (None, "Abdomen portal venous", True),
        (None, "Head C+", True),
        (None, "Spine post op", None),
        (None, "CHEST 5.0 B31f", None),
        (None, None, None),
    ],
)
def test_contrast_is_what_agent_or_description_say(
    agent: str | None, description: str | None, contrast: bool | None
) -> None:
    """Silence is neither: it is missing."""
    images = stack(ContrastBolusAgent=agent, SeriesDescription=description)
    assert fact("contrast", images) is contrast


@pytest.mark.parametrize(
    ("age", "born", "years"),
    [
        ("066Y", "19600101", 66.0),
        ("006M", "", 0.5),
        ("", "20160101", 10.0),
        ("000Y", "20160101", 10.0),
        ("66", "", None),
        ("", "1960", None),
        ("", "20300101", None),
    ],
)
@pytest.mark.fault("D25")
def test_the_age_is_in_years(age: str, born: str, years: float | None) -> None:
    assert fact("age", stack(PatientAge=age, PatientBirthDate=born)) == years


def test_loss_is_said_by_the_header_or_by_the_syntax() -> None:
    assert fact("lossy", stack(LossyImageCompression="01")) is True
    images = stack()
    images[0].file_meta.TransferSyntaxUID = JPEG2000
    assert fact("lossy", images) is True
    images[0].LossyImageCompression = "00"
    assert fact("lossy", images) is False


@pytest.mark.result_rule(30)
@pytest.mark.fault("D9")
def test_localizer_images_and_captures_are_parts_of_their_own() -> None:
    localizer = stack("l", 2, orientation=CORONAL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    dose = stack("d", 1, SOPClassUID=SecondaryCaptureImageStorage)
    assert parts(stack(), localizer, dose) == {
        "CT Image Storage, localizer": 2,
        "CT Image Storage, without localizer": 6,
        "Secondary Capture Image Storage": 1,
    }
    assert parts(stack(), localizer) == {"localizer": 2, "without localizer": 6}
    assert parts(localizer) == {"": 2}


@pytest.mark.fault("D10")
def test_a_stack_is_told_from_slices_of_another_direction() -> None:
    both = stack(), stack("other", 2, orientation=SAGITTAL)
    assert parts(*both) == {"axial": 6, "sagittal": 2}
    tilted = np.array(AXIAL) * 1.0
    tilted[4:] = math.cos(0.2), math.sin(0.2)
    assert parts(stack(), stack("b", 4, orientation=tilted)) == {"axial 1": 6, "axial 2": 4}


@pytest.mark.fault("D10")
def test_single_slices_of_several_directions_stay_together() -> None:
    """A localizer that does not say so, and a radial acquisition: no stack, so nothing to split."""
    three = [stack(str(o), 1, orientation=o) for o in (AXIAL, CORONAL, SAGITTAL)]
    assert (parts(*three), fact("orientations", *three)) == ({"": 3}, 3)
    assert fact("plane", *three) is None


@pytest.mark.fault("D10")
def test_what_would_leave_half_a_stack_is_not_split() -> None:
    """Turned within its plane, another matrix, another frame of reference: a rule may refuse it."""
    lower = stack(number=5)
    turned = stack("t", 5, orientation=[-v for v in AXIAL], origin=(40, 36, -5))
    assert (parts(lower, turned), fact("orientations", lower, turned)) == ({"": 10}, 2)
    wider = stack("w", 5, origin=(-40, -36, -5), Columns=8, FrameOfReferenceUID="1.2.9")
    assert parts(lower, wider) == {"": 10}
    assert [fact(f, lower, wider) for f in ("matrices", "frames_of_reference")] == [2, 2]


@pytest.mark.result_rule(30)
@pytest.mark.fault("D24")
@pytest.mark.parametrize(
    ("keyword", "values", "words"),
    [
        ("EchoTime", (10, 80), ("echo 1 (EchoTime 10)", "echo 2 (EchoTime 80)")),
        ("DiffusionBValue", (0.0, 1000.0), ("b-value 0", "b-value 1000")),
        ("TemporalPositionIdentifier", (3, 12), ("phase 3", "phase 12")),
        ("AcquisitionNumber", (1, 2), ("acquisition 1", "acquisition 2")),
        ("ConvolutionKernel", ("B31f", "B70f"), ("kernel B31f", "kernel B70f")),
        (
            "ImageType",
            (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]),
            ("image type M", "image type P"),
        ),
        ("InversionTime", (None, 500), ("no InversionTime", "inversion time 500 ms")),
    ],
)
def test_what_repeats_the_positions_is_split(
    keyword: str, values: tuple[Any, Any], words: tuple[str, str]
) -> None:
    first, second = (stack(str(v), **{keyword: v}) for v in values)
    found = found_in(first, second)
    assert {each.part for each in found} == set(words)
    assert [each.facts["regular"] for each in found] == [(True,)] * 2
    assert [each.facts["phases"] for each in found] == [(1,)] * 2
    assert [each.facts["parts"] for each in found] == [(2,)] * 2
    longer = stack("longer", 9, **{keyword: values[0]})
    assert set(parts(longer, second).values()) == {9, 6}


@pytest.mark.fault("D24")
def test_phases_of_echoes_are_split_twice() -> None:
    four = [
        stack(f"{echo} {phase}", EchoTime=echo, TemporalPositionIdentifier=phase)
        for echo in (10, 80)
        for phase in (1, 2)
    ]
    assert list(parts(*four)) == [
        f"echo {n} (EchoTime {time}), phase {phase}"
        for n, time in ((1, 10), (2, 80))
        for phase in (1, 2)
    ]


@pytest.mark.fault("D4", "D24")
def test_what_repeats_for_no_reason_stays_together_and_is_told() -> None:
    twice = stack(), stack("again")
    assert parts(*twice) == {"": 12}
    assert [fact(f, *twice) for f in ("duplicates", "phases", "regular")] == [6, 2, False]


def test_a_plain_stack_of_several_acquisitions_stays_whole() -> None:
    """Breath-holds one above the other, or slices in turns."""
    for numbers in ([1, 1, 1, 2, 2, 2], [1, 2, 1, 2, 1, 2]):
        images = stack()
        for ds, number in zip(images, numbers, strict=True):
            ds.AcquisitionNumber = number
            ds.EchoTime = 3 + number
        assert parts(images) == {"": 6}


@pytest.mark.fault("D24")
@pytest.mark.parametrize("numbers", [[1, 1, 1, 2, 2, 2], [1, 2, 1, 2, 1, 2]])
def test_phases_that_no_number_tells_apart_are_not_cut_into_half_stacks(
    numbers: list[int],
) -> None:
    """Two phases of two breath-holds each: by AcquisitionNumber, four halves would look whole."""
    first, second = stack(), stack("second")
    for ds, number in zip([*first, *second], [*numbers, *(n + 2 for n in numbers)], strict=True):
        ds.AcquisitionNumber = number
    assert parts(first, second) == {"": 12}


def test_text_from_outside_is_no_part_of_the_words() -> None:
    made = (stack(v, ConvolutionKernel=v) for v in ("A\x1b[2J", "B\x1b[2J"))
    assert list(parts(*made)) == ["kernel 1", "kernel 2"]


def test_an_instance_that_is_given_twice_counts_once() -> None:
    assert parts(stack(), stack()) == {"": 6}


def test_series_come_in_the_order_of_their_uids() -> None:
    one, two = stack("a", into="a"), stack("b", into="b")
    expected = sorted({ds.SeriesInstanceUID for ds in (*one, *two)})
    assert [each.series_instance_uid for each in found_in(one, two)] == expected


MIXED = seen(
    [
        *stack("e1", EchoTime=10),
        *stack("e2", EchoTime=80),
        *stack("s", 4, orientation=SAGITTAL),
        *stack("l", 2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        *stack("x", 3, into="x", orientation=OBLIQUE),
        *stack("y", 3, into="x", orientation=CORONAL),
    ]
)


@pytest.mark.result_rule(30)
@given(st.permutations(MIXED), st.integers(0, len(MIXED)))
def test_the_order_of_arrival_changes_nothing(order: list[Described], repeated: int) -> None:
    assert candidates([*order, *order[:repeated]]) == candidates(MIXED)


def test_files_are_described_as_they_are(tmp_path: Path) -> None:
    """Headers in any order, and what is no image too."""
    paths = write([*stack("e1", EchoTime=10), *stack("e2", EchoTime=80)], tmp_path)
    (tmp_path / "note.txt").write_text("no DICOM")
    found = candidates(described(tmp_path, KEYWORDS))
    assert [each.part for each in found] == ["echo 1 (EchoTime 10)", "echo 2 (EchoTime 80)"]
    assert {path for each in found for path in each.paths} == set(paths)


def test_a_large_series_takes_milliseconds() -> None:
    """20 for 300 instances; the limit is wide, since machines that test are busy."""
    images = seen(stack(number=300))
    random.Random(1).shuffle(images)  # noqa: S311 — for order
    begun = time.process_time()
    for _ in range(3):
        candidates(images)
    assert (time.process_time() - begun) / 3 < 0.1
