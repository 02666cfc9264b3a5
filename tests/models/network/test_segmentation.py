"""From a network's raw answer to labels: nothing where it saw nothing, and no label bent."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests.models.network.oblique import NODULE, SHAPE, images_input, package, predict, volume_input

SEGMENTS = [
    {"number": n, "label": f"Segment {n}", "category": "SCT:49755003", "type": NODULE}
    for n in (1, 2, 255)
]
RESTORED = [
    {"name": "Restore"},
    {"name": "Activations", "sigmoid": True},
    {"name": "AsDiscrete", "threshold": 0.5},
]
PLACE = (slice(3, 9), slice(2, 6), slice(4, 12))


def segmented(network: Any, values: np.ndarray, *steps: dict[str, Any], **changes: Any) -> Result:
    described = package(
        {"task": "segmentation", "postprocess": list(steps)}, segments=SEGMENTS, **changes
    )
    return predict(described, network, volume_input(values))


def marked() -> np.ndarray:
    values = np.zeros(SHAPE, np.float32)
    values[PLACE] = 5
    return values


@pytest.mark.parametrize("crop", [
    {"name": "CropForeground"}, {"name": "CenterSpatialCrop", "roi_size": [8, 8, 8]},
    {"name": "ResizeWithPadOrCrop", "spatial_size": [8, 16, 8]},
])  # fmt: skip
def test_what_was_cropped_away_is_background(crop: dict[str, Any]) -> None:
    """0, which is put there, is 50 % to a sigmoid: all that the network never saw was marked."""
    none = segmented(lambda batch: batch * 0 - 9, marked() + 1, *RESTORED, preprocess=[crop])
    assert none.outcome is Outcome.NONE
    spacing = {"name": "Spacing", "pixdim": [2.0, 2.0, 2.0]}
    for steps in ([crop], [spacing, crop]):
        found = segmented(lambda batch: batch - 2, marked(), *RESTORED, preprocess=steps)
        (mask,) = found.masks
        outside = mask.array.copy()
        outside[2:10, 1:7, 3:13] = 0
        assert mask.array.any()
        assert not outside.any()


@pytest.mark.parametrize("number", [-3, 256, 300])
def test_a_label_that_no_segment_can_have_is_refused(number: int) -> None:
    values = np.zeros(SHAPE, np.float32)
    values[1, 2, 3] = number
    with pytest.raises(ModelError, match=rf"numbers from .*{number}.*, where 0 to 255 were due"):
        segmented(lambda batch: batch, values)


def test_images_that_show_nothing_are_no_negative_result() -> None:
    with pytest.raises(InputError, match="The images show nothing"):
        segmented(lambda batch: batch, np.zeros(SHAPE), preprocess=[{"name": "CropForeground"}])


@pytest.mark.parametrize("layers", [1, 2])
def test_segments_that_overlap_lie_in_different_layers(layers: int) -> None:
    def channels(batch: Tensor) -> Tensor:
        second = batch if layers == 2 else batch.flip(2)
        return torch.cat([batch, second, batch * 0], 1)

    described = package(
        {"task": "segmentation", "overlapping": True}, segments=SEGMENTS, input="images"
    )
    image = np.zeros((12, 10), np.float32)
    image[1:4, 2:5] = 1
    result = predict(described, channels, images_input(image))
    assert len(result.image_masks) == layers
    assert [finding.segment_number for finding in result.findings] == [1, 2]
    for number, where in ((1, image), (2, image if layers == 2 else image[::-1])):
        assert any(np.array_equal(m.array == number, where > 0) for m in result.image_masks)
