"""What is asked of a model, and what is believed of it."""

import dataclasses
from collections.abc import Callable

import highdicom as hd
import numpy as np
import pytest
from pydantic import ValidationError
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSNearLossless,
)

from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.gate import GatedModel
from dicom_ai_node.models.threshold import Threshold
from dicom_ai_node.result import Measurement, Result
from tests.models.phantom import model_input, package

HEAD_MR = {"modality": ("MR",), "body_part": ("HEAD", "BRAIN")}


class Answers:
    """A model that changes a good answer before it gives it."""

    def __init__(self, change: Callable[[Result], Result]) -> None:
        self.change = change

    def predict(self, data: ModelInput) -> Result:
        return self.change(Threshold(package()).predict(data))


def never_asked(result: Result) -> Result:
    raise AssertionError("the model was asked")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"Modality": "CT"}, "This is CT; bright is made for MR."),
        ({"Modality": ""}, "The images do not say their modality; bright is made for MR."),
        (
            {"Modality": "MR", "BodyPartExamined": "chest"},
            "The body part is CHEST; bright is made for HEAD or BRAIN.",
        ),
    ],
)
def test_the_wrong_input_is_refused_before_the_model_is_asked(
    header: dict[str, str], reason: str
) -> None:
    model = GatedModel(Answers(never_asked), package(gate=HEAD_MR))
    assert model.predict(model_input(**header)) == Result.not_suitable(reason)


@pytest.mark.parametrize(
    "header",
    [
        {"Modality": "MR", "BodyPartExamined": "BRAIN"},
        {"Modality": "mr", "BodyPartExamined": "head"},
        {"Modality": "MR", "BodyPartExamined": ""},
        {"Modality": "MR"},
    ],
)
def test_the_right_input_passes(header: dict[str, str]) -> None:
    model = GatedModel(Answers(lambda result: result), package(gate=HEAD_MR))
    assert model.predict(model_input(**header)).outcome is Outcome.FINDINGS


def test_a_package_without_a_gate_takes_everything() -> None:
    model = GatedModel(Answers(lambda result: result), package())
    assert model.predict(model_input(Modality="", BodyPartExamined="LEG")).findings


def lossy(said: str, syntax: str) -> ModelInput:
    data = model_input(LossyImageCompression=said)
    data.headers[0].file_meta = FileMetaDataset()
    data.headers[0].file_meta.TransferSyntaxUID = UID(syntax)
    return data


@pytest.mark.fault("C14")
@pytest.mark.parametrize(
    ("said", "syntax", "is_lossy"),
    [
        ("01", ExplicitVRLittleEndian, True),
        ("01", JPEG2000Lossless, True),
        ("", JPEG2000, True),
        ("", JPEGLSNearLossless, True),
        ("00", JPEG2000, False),
        ("", JPEG2000Lossless, False),
    ],
)
def test_lossy_images_are_for_models_that_bear_them(said: str, syntax: str, is_lossy: bool) -> None:
    never_lossy = GatedModel(Answers(lambda result: result), package())
    answer = never_lossy.predict(lossy(said, syntax))
    assert (answer.outcome is Outcome.NOT_SUITABLE) == is_lossy
    if is_lossy:
        assert answer.reason == (
            "The images were compressed with loss (LossyImageCompression, or their transfer "
            "syntax); bright is made for lossless ones."
        )
    bears = GatedModel(Answers(lambda result: result), package(gate={"accept_lossy": True}))
    assert bears.predict(lossy(said, syntax)).outcome is Outcome.FINDINGS


@pytest.mark.parametrize(
    ("between_ml", "outcome"),
    [
        ((3, 3), Outcome.FINDINGS),
        ((1, 2.9), Outcome.NOT_SUITABLE),
        ((3.1, 9), Outcome.NOT_SUITABLE),
    ],
)
def test_a_volume_out_of_range_is_not_believed(
    between_ml: tuple[float, float], outcome: Outcome
) -> None:
    limited = package(plausible=({"segment": 3, "between_ml": between_ml},))
    result = GatedModel(Answers(lambda result: result), limited).predict(model_input())
    assert result.outcome is outcome
    if outcome is Outcome.NOT_SUITABLE:
        low, high = between_ml
        expected = f"The segmented volume of bone is 3 mL; bright believes {low:g}–{high:g} mL."
        assert result == Result.not_suitable(expected)


@pytest.mark.parametrize("change", [
    {"plausible": ({"segment": 4, "between_ml": (1, 2)},)},
    {"input": "images", "plausible": ({"segment": 3, "between_ml": (1, 2)},)},
    {"input": "images", "gate": {"slices": (1, 2)}},
    {"input": "images", "gate": {"extent_mm": (1, 2, 3)}},
])  # fmt: skip
def test_a_limit_that_can_never_apply_is_a_mistake(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"not among segments|single images"):
        package(**change)


def test_no_finding_and_not_suitable_pass_through() -> None:
    for answer in (Result(outcome=Outcome.NONE), Result.not_suitable("No bone was found.")):
        model = GatedModel(Answers(lambda _, answer=answer: answer), package())
        assert model.predict(model_input()) == answer


def with_mask(result: Result, mask: hd.Volume) -> Result:
    return dataclasses.replace(result, masks=(mask,))


def with_array(result: Result, change: Callable[[np.ndarray], np.ndarray]) -> Result:
    return with_mask(result, result.masks[0].with_array(change(result.masks[0].array.copy())))


def shifted(mask: hd.Volume) -> hd.Volume:
    affine = mask.affine
    affine[0, 3] += 1
    return hd.Volume(mask.array, affine, "PATIENT", mask.frame_of_reference_uid)


def elsewhere(mask: hd.Volume) -> hd.Volume:
    return hd.Volume(mask.array, mask.affine, "PATIENT", "9.9")


def measured(value: float) -> Callable[[Result], Result]:
    def change(result: Result) -> Result:
        (finding,) = result.findings
        (old,) = finding.measurements
        new = Measurement(name=old.name, value=value, unit=old.unit)
        return dataclasses.replace(
            result, findings=(dataclasses.replace(finding, measurements=(new,)),)
        )

    return change


@pytest.mark.fault("E3")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: with_array(r, lambda a: a.astype(np.int16)), "mask of int16"),
        (lambda r: with_mask(r, r.masks[0][:-1]), "was due"),
        (lambda r: with_mask(r, r.masks[0].flip_spatial(1)), "does not lie"),
        (lambda r: with_mask(r, shifted(r.masks[0])), "does not lie"),
        (lambda r: with_mask(r, elsewhere(r.masks[0])), "does not lie"),
        (lambda r: with_array(r, lambda a: a + np.uint8(1)), "numbers that no segment has"),
        (lambda r: dataclasses.replace(r, masks=()), "no mask"),
        (lambda r: dataclasses.replace(r, findings=()), "named none"),
        (lambda r: dataclasses.replace(r, segments=()), "does not declare"),
        (lambda r: dataclasses.replace(r, outcome=Outcome.NONE), "that there are none"),
        (lambda r: dataclasses.replace(r, masks=r.masks * 2), "hold the same segment"),
        (measured(float("nan")), "not a number"),
        (measured(float("inf")), "not a number"),
    ],
)
def test_an_answer_against_the_contract_is_a_model_error(
    change: Callable[[Result], Result], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        GatedModel(Answers(change), package()).predict(model_input())
