"""Probabilities, and what they amount to: found, absent, undecided."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer
from tests.models.network.oblique import (
    EFFUSION,
    PNEUMONIA,
    constant,
    entry,
    images_input,
    package,
    predict,
    volume_input,
)

TWO = [
    entry(0, label="Pneumonia", finding=PNEUMONIA),
    entry(1, label="Effusion", finding=EFFUSION, threshold=0.7, site="SCT:39607008:Lung"),
]


def output(**changes: object) -> dict[str, object]:
    return {"task": "classification", "classes": TWO} | changes


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def mean_of(batch: Tensor) -> Tensor:
    """One channel: the mean of the input."""
    return batch.mean(dim=tuple(range(2, batch.ndim)))


def test_each_class_has_a_threshold_of_its_own() -> None:
    result = predict(package(output()), constant(logit(0.6), logit(0.69)), volume_input())
    assert result.outcome is Outcome.FINDINGS
    (finding,) = result.findings
    assert finding.tracking_identifier == "Pneumonia 1"
    assert finding.code.value == "233604007"
    assert finding.probability == pytest.approx(0.6, abs=1e-6)
    assert finding.image is None
    (absent,) = result.assessments
    assert (absent.code.value, absent.answer) == ("60046008", Answer.ABSENT)
    assert absent.probability == pytest.approx(0.69, abs=1e-6)


def test_several_classes_may_be_found_at_once_each_at_its_site() -> None:
    result = predict(package(output()), constant(3.0, 3.0), volume_input())
    assert [f.tracking_identifier for f in result.findings] == ["Pneumonia 1", "Effusion 1"]
    assert [f.site and f.site.meaning for f in result.findings] == [None, "Lung"]
    assert not result.assessments


def test_nothing_found_is_a_result_and_says_what_was_looked_for() -> None:
    result = predict(package(output()), constant(-3.0, -3.0), volume_input())
    assert (result.outcome, result.reason) == (Outcome.NONE, "Network found nothing.")
    assert [a.answer for a in result.assessments] == [Answer.ABSENT, Answer.ABSENT]


@pytest.mark.parametrize(
    ("probability", "answer"),
    [(0.29, Answer.ABSENT), (0.3, Answer.UNDECIDED), (0.69, Answer.UNDECIDED), (0.7, None)],
)
def test_between_two_limits_the_model_abstains(probability: float, answer: Answer | None) -> None:
    unsure = output(classes=[entry(finding=PNEUMONIA, undecided=(0.3, 0.7))], activation="none")
    result = predict(package(unsure), constant(probability), volume_input())
    assert [a.answer for a in result.assessments] == ([answer] if answer else [])
    if answer is Answer.UNDECIDED:
        assert result.outcome is Outcome.ABSTAINED
        assert result.reason == "Network is not sure enough for an answer: Pneumonia."
    assert bool(result.findings) == (answer is None)


def test_logits_are_calibrated_before_the_activation() -> None:
    calibrated = output(calibration=(2.0, -1.0))
    result = predict(package(calibrated), constant(1.5, 1.5), volume_input())
    expected = 1 / (1 + np.exp(-(2.0 * 1.5 - 1.0)))
    assert [f.probability for f in result.findings] == pytest.approx([expected] * 2)


def test_softmax_shares_one_among_all_channels() -> None:
    """The third channel is none of the classes, and has its share."""
    shared = output(activation="softmax")
    result = predict(package(shared), constant(2.0, 0.0, 1.0), volume_input())
    found = [f.probability for f in result.findings] + [a.probability for a in result.assessments]
    expected = torch.tensor([2.0, 0.0, 1.0]).softmax(0)[:2].tolist()
    assert found == pytest.approx(expected)


@pytest.mark.fault("E4")
@pytest.mark.parametrize("number", [1.5, -0.2])
def test_what_is_no_probability_is_not_reported(number: float) -> None:
    plain = package(output(activation="none"))
    with pytest.raises(ModelError, match="a probability that is not from 0 to 1"):
        predict(plain, constant(number, 0.5), volume_input())


def test_a_rounding_error_of_a_softmax_within_the_network_is_forgiven() -> None:
    plain = package(output(activation="none"))
    (finding,) = predict(plain, constant(1.000001, 0.0), volume_input()).findings
    assert finding.probability == 1


@pytest.mark.fault("E5")
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_not_reported(number: float) -> None:
    with pytest.raises(ModelError, match="not a number"):
        predict(package(output()), constant(number, 0.5), volume_input())


@pytest.mark.fault("E3")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (torch.zeros(1, 1), "gave 1 channels where 2 were due"),
        (torch.zeros(1, 2, 4, 4), "gave the shape .* one number per channel"),
        ({"other": torch.zeros(1, 2)}, r"has no output 0 \(there: other\)"),
    ],
)
def test_an_answer_of_another_shape_is_refused(answer: object, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        predict(package(output()), lambda batch: answer, volume_input())


def test_each_image_has_an_answer_of_its_own() -> None:
    one = package(output(classes=[entry(label="Opacity", finding=PNEUMONIA)]), input="images")
    data = images_input(np.full((6, 8), 2.0), np.full((8, 6), -2.0), np.full((5, 5), 3.0))
    result = predict(one, mean_of, data)
    assert [(f.tracking_identifier, f.image) for f in result.findings] == [
        ("Opacity 1", "1.2.1"),
        ("Opacity 2", "1.2.3"),
    ]
    assert [(a.answer, a.image) for a in result.assessments] == [(Answer.ABSENT, "1.2.2")]


@pytest.mark.parametrize(("combine", "expected"), [("max", 0.8), ("mean", 0.5)])
def test_all_images_of_a_series_may_have_one_answer(combine: str, expected: float) -> None:
    one = package(
        output(classes=[entry(threshold=0.1)], activation="none", combine=combine),
        input="images",
    )
    data = images_input(*(np.full((4, 6), value) for value in (0.8, 0.3, 0.4)))
    (finding,) = predict(one, mean_of, data).findings
    assert finding.image is None
    assert finding.probability == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": [entry(0), entry(0)]},
        {"classes": [entry(undecided=(0.6, 0.9))]},
        {"postprocess": [{"name": "FillHoles"}]},
    ],
)
def test_a_package_that_contradicts_itself_is_not_read(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        package(output(**wrong))


def test_a_network_of_slices_has_one_answer_for_the_volume() -> None:
    """Combined are probabilities, and not logits."""
    array = np.zeros((16, 12, 20))
    array[5] = 3
    one = output(classes=[entry(threshold=0.1)])
    slices = {"kind": "slices", "axis": 0}
    found = {
        combine: predict(
            package(one | {"combine": combine}, inference=slices), mean_of, volume_input(array)
        ).findings[0]
        for combine in ("max", "mean")
    }
    high = 1 / (1 + np.exp(-3))
    assert found["max"].probability == pytest.approx(high)
    assert found["mean"].probability == pytest.approx((high + 15 * 0.5) / 16)
    with pytest.raises(ValidationError, match="need combine"):
        package(one, inference=slices)


def test_numbers_are_not_put_together_from_windows() -> None:
    with pytest.raises(ValidationError, match="want the input at once"):
        package(output(), inference={"kind": "sliding_window", "roi_size": (8, 8, 8)})
