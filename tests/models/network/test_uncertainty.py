"""Flips of the input: how much an answer wavers, as numbers, as a map, and as no answer."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer, Finding, MapKind
from tests.models.network.oblique import (
    NODULE,
    SHAPE,
    entry,
    images_input,
    package,
    predict,
    volume_input,
)

SEGMENTS = [
    {"number": 1, "label": "Left", "category": "SCT:123037004", "type": NODULE},
    {"number": 2, "label": "Right", "category": "SCT:123037004", "type": NODULE},
]
ASKED = MapKind.UNCERTAINTY


def tilted(batch: Tensor) -> Tensor:
    """Three channels of logits: background, then two marks; the second wavers along axis 0.

    Where the input is 2, the second mark is surer the nearer it is to the end of axis 0.
    """
    ramp = torch.linspace(0.5, 2, batch.shape[2]).reshape(1, -1, *[1] * (batch.ndim - 3))
    first, second = (batch[:, 0] == 1) * 6.0, (batch[:, 0] == 2) * ramp * 2
    return torch.stack([torch.full_like(first, 1.0), first, second], dim=1)


def segmentation(**changes: Any) -> dict[str, Any]:
    steps = [{"name": "AsDiscrete", "argmax": True}]
    return {"task": "segmentation", "postprocess": steps} | changes


def marked() -> np.ndarray:
    array = np.zeros(SHAPE)
    array[2:5, 3, 4:9] = 1
    array[9:14, 7, 11:13] = 2
    return array


def spread(finding: Finding) -> float:
    (found,) = [m for m in finding.measurements if m.name.value == "SPREAD-PROB"]
    assert (found.name.scheme_designator, found.unit.value) == ("99DICOMAINODE", "1")
    return found.value


def expected_spread(array: np.ndarray) -> np.ndarray:
    tensor = torch.from_numpy(array)[None, None].float()
    plain = tilted(tensor).softmax(1)
    turned = tilted(tensor.flip(2)).flip(2).softmax(1)
    return torch.stack([plain, turned]).std(0, unbiased=False)[0].amax(0).numpy()


def test_a_segmentation_has_a_map_of_its_spread_and_a_number_for_each_segment() -> None:
    flipped = package(segmentation(), segments=SEGMENTS, augment=[(0,)])
    result = predict(flipped, tilted, volume_input(marked(), ASKED))
    (found,) = result.maps
    assert (found.kind, found.label) == (MapKind.UNCERTAINTY, "Network")
    assert found.volume.array.dtype == np.float32
    expected = expected_spread(marked())
    np.testing.assert_allclose(found.volume.array, expected, atol=1e-6)
    sure, wavering = result.findings
    assert spread(sure) == pytest.approx(0, abs=1e-6)
    assert spread(wavering) == pytest.approx(expected[marked() == 2].mean(), abs=1e-5)
    assert spread(wavering) > 0.01


def test_the_map_lies_on_the_grid_of_the_source_whatever_the_network_saw() -> None:
    steps = [
        {"name": "Flip", "spatial_axis": 2},
        {"name": "Rotate90", "spatial_axes": (0, 1)},
        {"name": "SpatialPad", "spatial_size": (16, 18, 24)},
    ]
    turned = package(segmentation(), segments=SEGMENTS, augment=[(1,)], preprocess=steps)

    def along_axis_1(batch: Tensor) -> Tensor:
        return tilted(batch.transpose(2, 3)).transpose(2, 3)

    result = predict(turned, along_axis_1, volume_input(marked(), ASKED))
    (found,) = result.maps
    wavering = found.volume.array > 1e-3
    assert wavering.any()
    assert (marked()[wavering] == 2).all()


def test_the_answer_is_the_same_whether_its_doubt_is_asked_for_or_not() -> None:
    flipped = package(segmentation(), segments=SEGMENTS, augment=[(0,), (1, 2)])
    plain = predict(flipped, tilted, volume_input(marked()))
    asked = predict(flipped, tilted, volume_input(marked(), ASKED))
    assert not plain.maps
    np.testing.assert_array_equal(plain.masks[0].array, asked.masks[0].array)
    for one, other in zip(plain.findings, asked.findings, strict=True):
        assert one.measurements == other.measurements[:-1]


def test_a_package_without_flips_leaves_the_map_out() -> None:
    result = predict(
        package(segmentation(), segments=SEGMENTS), tilted, volume_input(marked(), ASKED)
    )
    assert not result.maps
    assert [len(f.measurements) for f in result.findings] == [1, 1]


def test_a_segment_that_wavers_too_much_is_left_out_and_undecided() -> None:
    mean = expected_spread(marked())[marked() == 2].mean()
    limited = package(segmentation(abstain_above=mean - 0.001), segments=SEGMENTS, augment=[(0,)])
    result = predict(limited, tilted, volume_input(marked()))
    assert [f.tracking_identifier for f in result.findings] == ["Left 1"]
    assert [s.number for s in result.segments] == [1]
    assert set(np.unique(result.masks[0].array)) == {0, 1}
    assert [a.answer for a in result.assessments] == [Answer.UNDECIDED]
    assert result.outcome is Outcome.FINDINGS


def test_images_have_the_number_without_a_map() -> None:
    array = np.zeros((16, 12))
    array[9:14, 7:9] = 2
    flipped = package(segmentation(), segments=SEGMENTS, augment=[(0,)], input="images")
    data = images_input(array)
    result = predict(flipped, tilted, type(data)(
        headers=data.headers, images=data.images, maps=frozenset({ASKED})
    ))  # fmt: skip
    (finding,) = result.findings
    assert spread(finding) > 0.01
    assert not result.maps


def test_a_class_whose_probability_wavers_too_much_is_no_answer() -> None:
    """0.9 as it is, and 0.6 and 0.6 flipped: a spread of 0.141."""
    array = np.zeros(SHAPE)
    array[0], array[-1] = 0.9, 0.6

    def first_slab(batch: Tensor) -> Tensor:
        return batch[:, :, 0].mean(dim=(2, 3))

    output = {"task": "classification", "activation": "none", "classes": [entry()]}
    flips = {"augment": [(0,), (0, 1)]}
    data = volume_input(array)
    (finding,) = predict(
        package(output | {"abstain_above": 0.15}, **flips), first_slab, data
    ).findings
    assert finding.probability == pytest.approx(0.9)
    assert spread(finding) == pytest.approx(np.std([0.9, 0.6, 0.6]), abs=1e-6)
    result = predict(package(output | {"abstain_above": 0.14}, **flips), first_slab, data)
    assert result.outcome is Outcome.ABSTAINED
    assert result.reason == "Network is not sure enough for an answer: Nodule."
    assert result.assessments[0].probability == pytest.approx(0.9)


def test_a_peak_of_a_heatmap_is_looked_for_in_the_same_place() -> None:
    """Scores fall along axis 0: 0.9 at 2 of 16, and from behind 13 of 16, where it is 0.35."""
    array = np.zeros(SHAPE)
    array[2, 4, 5] = 1

    def falling(batch: Tensor) -> Tensor:
        return batch * torch.linspace(1, 0.25, 16).reshape(1, 1, -1, 1, 1)

    output = {"task": "detection", "form": "heatmap", "classes": [entry()]}
    (finding,) = predict(
        package(output, augment=[(0,)]), falling, volume_input(array, ASKED)
    ).findings
    assert finding.probability == pytest.approx(0.9)
    assert spread(finding) == pytest.approx((0.9 - 0.35) / 2, abs=1e-6)


def test_a_box_is_looked_for_by_its_overlap_and_0_where_it_is_not() -> None:
    """Of two marks, only the one that comes first along axis 0 is seen."""
    array = np.zeros(SHAPE)
    array[2:4, 4:6, 5:7] = 1
    array[10:12, 4:6, 5:7] = 1

    def first_mark(batch: Tensor) -> dict[str, Tensor]:
        places = (batch[0, 0] > 0).nonzero()
        places = places[places[:, 0] < places[:, 0].min() + 3].float()
        return {
            "boxes": torch.cat([places.amin(0) - 0.5, places.amax(0) + 0.5])[None],
            "scores": torch.tensor([0.8 if batch[0, 0, 2, 4, 5] else 0.6]),
            "labels": torch.tensor([0]),
        }

    output = {"task": "detection", "classes": [entry()]}
    flipped = package(output, augment=[(0,), (1, 2)])
    (finding,) = predict(flipped, first_mark, volume_input(array, ASKED)).findings
    assert spread(finding) == pytest.approx(np.std([0.8, 0.0, 0.6]), abs=1e-6)


def test_a_flip_of_an_axis_that_is_not_there_is_a_fault_of_the_package() -> None:
    output = {"task": "classification", "classes": [entry()], "abstain_above": 0.1}
    with pytest.raises(ModelError, match="augment flips an axis"):
        predict(
            package(output, augment=[(2,)], input="images"),
            lambda batch: batch[:, :, 0, 0],
            images_input(np.zeros((4, 6))),
        )


def test_a_limit_of_the_spread_needs_flips() -> None:
    with pytest.raises(ValidationError, match="abstain_above needs augment"):
        package(segmentation(abstain_above=0.1), segments=SEGMENTS)
