"""Quantities: a number with its unit, or none that can be believed."""

import numpy as np
import pytest
from torch import Tensor

from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer
from tests.models.network.oblique import (
    constant,
    entry,
    images_input,
    package,
    predict,
    volume_input,
)

AGE = {
    "label": "Bone age",
    "finding": "SCT:123037004:Body structure",
    "name": "LN:38014-3:Bone age",
    "unit": "UCUM:mo:month",
}


def output(**changes: object) -> dict[str, object]:
    return {"task": "regression", "quantities": [AGE | changes]}


def mean_of(batch: Tensor) -> Tensor:
    return batch.mean(dim=tuple(range(2, batch.ndim)))


def test_a_number_is_scaled_and_has_a_unit() -> None:
    scaled = package(output(channel=1, slope=12, intercept=3))
    result = predict(scaled, constant(99.0, 10.5), volume_input())
    assert result.outcome is Outcome.FINDINGS
    (finding,) = result.findings
    assert finding.tracking_identifier == "Bone age 1"
    (measurement,) = finding.measurements
    assert measurement.value == pytest.approx(129)
    assert (measurement.name.meaning, measurement.unit.value) == ("Bone age", "mo")


def test_what_cannot_be_is_not_believed_and_nor_is_the_rest() -> None:
    """Both come from one look at one input, and that look was wrong."""
    both = package(
        output(between=(0, 240)), {"task": "classification", "classes": [entry(channel=1)]}
    )
    with pytest.raises(
        InputError, match=r"Bone age: the measured bone age is 300 mo; net believes 0–240 mo\."
    ):
        predict(both, constant(300.0, 4.0), volume_input())


def test_one_image_that_is_not_believed_leaves_out_itself() -> None:
    images = package(output(between=(0, 240)), input="images")
    data = images_input(np.full((4, 6), 100.0), np.full((6, 4), 500.0))
    result = predict(images, mean_of, data)
    assert result.outcome is Outcome.PARTLY
    assert result.reason == (
        "1 of 2 images: Bone age: the measured bone age is 500 mo; net believes 0–240 mo."
    )
    assert [(f.image, f.measurements[0].value) for f in result.findings] == [("1.2.1", 100)]


def test_if_no_image_is_believed_there_is_no_answer() -> None:
    images = package(output(between=(0, 240)), input="images")
    with pytest.raises(InputError, match="believes 0–240 mo"):
        predict(images, mean_of, images_input(np.full((4, 6), 500.0), np.full((4, 6), 600.0)))


def test_all_images_may_have_one_number_which_alone_is_judged() -> None:
    images = package(output(between=(0, 240)) | {"combine": "mean"}, input="images")
    data = images_input(np.full((4, 6), 100.0), np.full((6, 4), 300.0))
    (finding,) = predict(images, mean_of, data).findings
    assert (finding.image, finding.measurements[0].value) == (None, 200)


@pytest.mark.fault("E3")
def test_too_few_channels_are_refused() -> None:
    with pytest.raises(ModelError, match="1 channels where 2 were due"):
        predict(package(output(channel=1)), constant(1.0), volume_input())


def test_flips_tell_how_much_a_number_wavers_and_too_much_is_no_answer() -> None:
    """The network sees the first slab alone: 5 one way round, 8 the other; answers 10 and 16."""
    array = np.zeros((16, 12, 20))
    array[0], array[-1] = 5, 8

    def first_slab(batch: Tensor) -> Tensor:
        return batch[:, :, 0].mean(dim=(2, 3))

    sure = package(output(slope=2) | {"abstain_above": 3.5}, augment=[(0,)])
    (finding,) = predict(sure, first_slab, volume_input(array)).findings
    age, spread = finding.measurements
    assert age.value == pytest.approx(10)  # as it is, not the mean of both
    assert (spread.name.value, spread.unit.value) == ("SPREAD-VALUE", "mo")
    assert spread.value == pytest.approx(3)

    unsure = package(output(slope=2) | {"abstain_above": 2.5}, augment=[(0,)])
    result = predict(unsure, first_slab, volume_input(array))
    assert result.outcome is Outcome.ABSTAINED
    assert [a.answer for a in result.assessments] == [Answer.UNDECIDED]
    assert not result.findings
