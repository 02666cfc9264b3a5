"""What a model was made for, and how a refusal reads."""

import dataclasses

import highdicom as hd
import numpy as np
import pytest
from pydantic import ValidationError
from pydicom import Dataset

from dicom_ai_node.config.gate import InputGate, Plausible
from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.gate import implausible
from dicom_ai_node.models.input_gate import extent_mm, unsuitable
from dicom_ai_node.result import ImageMask, Result
from tests.models.phantom import model_input, package


def reason(data: ModelInput, **gate: object) -> str | None:
    return unsuitable(data, package(gate=gate))


@pytest.mark.fault("D25")
@pytest.mark.parametrize(
    ("header", "refused"),
    [
        ({"PatientAge": "007Y"}, True),
        ({"PatientAge": "017Y"}, True),
        ({"PatientAge": "018Y"}, False),
        ({"PatientAge": "018M"}, True),
        ({"PatientAge": "003W"}, True),
        ({"PatientBirthDate": "20200102", "StudyDate": "20250102"}, True),
        ({"PatientBirthDate": "19700102", "StudyDate": "20250102"}, False),
        # from the birthday on, however many leap years lie between
        ({"PatientBirthDate": "20000301", "StudyDate": "20180301"}, False),
        ({"PatientBirthDate": "20000301", "StudyDate": "20180228"}, True),
        # nothing is known of the age
        ({}, False),
        ({"PatientAge": "000Y"}, False),
        ({"PatientAge": "OLD"}, False),
        ({"PatientBirthDate": "20200102", "StudyDate": "19000101"}, False),
        ({"PatientBirthDate": "1970.01.02", "StudyDate": "20250102"}, False),
    ],
)
def test_a_child_is_refused_by_a_model_for_adults(header: dict[str, str], refused: bool) -> None:
    said = reason(model_input(**header), age_years=(18, 120))
    younger = "The patient is younger than 18 years; bright is made for older ones."
    assert said == (younger if refused else None)


@pytest.mark.fault("D25")
@pytest.mark.parametrize(("born", "refused"), [("19440302", False), ("19440301", True)])
def test_the_last_year_of_a_range_ends_with_the_birthday(born: str, refused: bool) -> None:
    data = model_input(PatientBirthDate=born, StudyDate="20250301")
    assert bool(reason(data, age_years=(18, 80))) == refused


@pytest.mark.fault("D25")
def test_the_age_itself_is_not_repeated() -> None:
    said = reason(model_input(PatientAge="094Y"), age_years=(0, 17))
    assert said == "The patient is older than 17 years; bright is made for younger ones."


SAID = "Only {} mm were scanned from {}; bright needs {} mm."
DARK = (
    "The images are too dark, or of other units: 50 % of the voxels lie below -1000, and "
    "bright is made for 0 to 100."
)


@pytest.mark.fault("D25")
@pytest.mark.parametrize(
    ("gate", "said"),
    [
        # the phantom has 20 × 10 × 10 voxels of 2 × 3 × 5 mm
        ({"extent_mm": (40, 30, 50)}, None),
        ({"extent_mm": (41, 0, 0)}, SAID.format(40, "right to left", 41)),
        ({"extent_mm": (0, 99, 0)}, SAID.format(30, "front to back", 99)),
        ({"extent_mm": (0, 0, 110)}, SAID.format(50, "foot to head", 110)),
        ({"slices": (20, 20)}, None),
        ({"slices": (21, 500)}, "The series has 20 images; bright needs 21 to 500."),
        ({"spacing_mm": (2, 5)}, None),
        ({"spacing_mm": (0.5, 4)}, "Voxels are 5 mm apart; bright is made for 0.5 to 4 mm."),
        ({"intensities": ({"percentile": 50, "between": (-1000, -900)},)}, None),
        ({"intensities": ({"percentile": 50, "between": (0, 100)},)}, DARK),
    ],
)
def test_a_scan_of_another_size_or_kind_is_refused(gate: dict[str, object], said: str) -> None:
    assert reason(model_input(), **gate) == said


def test_extents_are_the_patients_whatever_the_order_of_voxels() -> None:
    volume = model_input().needed_volume()
    assert extent_mm(volume) == (40, 30, 50)
    for order in ("HPL", "FAR", "PHR"):
        assert extent_mm(volume.to_patient_orientation(order)) == (40, 30, 50)


@pytest.mark.fault("D25")
def test_a_gate_that_says_nothing_takes_everything() -> None:
    assert reason(model_input(PatientAge="001D")) is None


@pytest.mark.fault("E4")
@pytest.mark.parametrize(("percent", "said"), [
    (1.0, None),
    (0.0, None),  # nothing found is a result of its own
    (100.0, "Bone was found in 100.0 % of the image; bright believes 0.5–60 %."),
    (0.2, "Bone was found in 0.2 % of the image; bright believes 0.5–60 %."),
])  # fmt: skip
def test_a_mask_of_all_or_hardly_any_of_an_image_is_not_believed(
    percent: float, said: str | None
) -> None:
    array = np.zeros(1000, np.uint8)
    array[: round(10 * percent)] = 3
    mask = ImageMask(sop_instance_uid="1.2", array=array.reshape(20, 50))
    result = Result(outcome=Outcome.FINDINGS, image_masks=(mask,))
    limited = package(plausible=({"segment": 3, "between_percent": (0.5, 60)},))
    assert implausible(result, limited) == said
    of_a_volume = dataclasses.replace(result, image_masks=(), masks=(
        hd.Volume(array.reshape(10, 10, 10), np.eye(4), "PATIENT"),
    ))  # fmt: skip
    assert implausible(of_a_volume, limited) == said


def test_a_limit_has_one_range() -> None:
    with pytest.raises(ValidationError, match="one of them"):
        Plausible(segment=1)
    with pytest.raises(ValidationError, match="least, most"):
        InputGate(age_years=(18, 3))


def test_images_are_judged_by_their_pixels_each() -> None:
    dark, bright = (
        ProjectionImage(
            array=np.full((8, 8), value, np.float32), sop_instance_uid=uid, pixel_spacing=spacing
        )
        for value, uid, spacing in ((-1000, "1.2.1", None), (50, "1.2.2", (0.2, 0.15)))
    )
    data = ModelInput(headers=[Dataset()], images=(bright, dark))
    assert reason(data) is None
    between = ({"percentile": 50, "between": (0, 100)},)
    assert reason(data, intensities=between) == DARK
    coarse = "Voxels are 0.15 mm apart; bright is made for 0.18 to 0.3 mm."
    assert reason(data, spacing_mm=(0.18, 0.3)) == coarse
    assert reason(data, spacing_mm=(0.1, 0.3)) is None
