"""The model without a network."""

import numpy as np

from dicom_ai_node.job import Outcome
from dicom_ai_node.models.threshold import Threshold
from tests.models.phantom import model_input, package


def test_the_segment_is_where_the_value_is_within_the_range() -> None:
    values = np.array([299, 300, 3000, 3001, np.nan, -1000], np.float32).reshape(6, 1, 1)
    result = Threshold(package()).predict(model_input(values))
    assert result.masks[0].dtype == np.uint8
    assert result.masks[0].array.ravel().tolist() == [0, 3, 3, 0, 0, 0]


def test_the_mask_lies_where_the_images_lie() -> None:
    data = model_input()
    result = Threshold(package()).predict(data)
    assert result.outcome is Outcome.FINDINGS
    assert result.masks[0].geometry_equal(data.volume)


def test_nothing_within_the_range_is_no_finding() -> None:
    result = Threshold(package(between=(2000, 3000))).predict(model_input())
    assert result.outcome is Outcome.NONE
    assert result.masks == ()
    assert not result.findings
    assert result.reason
