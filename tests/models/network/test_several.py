"""One network that segments, classifies and measures at once."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dicom_ai_node.errors import InputError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer, MapKind
from tests.models.network.oblique import (
    EFFUSION,
    NODULE,
    PNEUMONIA,
    SHAPE,
    SPACING,
    entry,
    package,
    predict,
    volume_input,
)

SEGMENTS = [{"number": 1, "label": "Nodule", "category": "SCT:49755003", "type": NODULE}]
MASK = {
    "task": "segmentation",
    "output": "mask",
    "postprocess": [{"name": "AsDiscrete", "threshold": 0.5}],
}
CLASSES = {
    "task": "classification",
    "output": "classes",
    "classes": [entry(0, finding=PNEUMONIA), entry(1, finding=EFFUSION, undecided=(0.4, 0.6))],
}
NUMBER = {
    "task": "regression",
    "output": "number",
    "quantities": [
        {
            "label": "Mean",
            "finding": "SCT:39607008:Lung",
            "name": "SCT:373098007:Mean",
            "unit": "UCUM:[hnsf'U]:Hounsfield unit",
            "between": (0, 1),
        }
    ],
}
PLACES = {
    "task": "detection",
    "form": "heatmap",
    "output": "mask",
    "classes": [entry(0, label="Nodule")],
}


def network(batch: Tensor) -> dict[str, Tensor]:
    bright = (batch > 0.5).float()
    return {
        "mask": bright,
        "classes": torch.stack([bright.amax((1, 2, 3, 4)) * 4 - 2, torch.zeros(1)], dim=1),
        "number": batch.mean((2, 3, 4)),
    }


def marked() -> np.ndarray:
    array = np.zeros(SHAPE)
    array[3:6, 2, 9:13] = 1
    return array


def test_all_outputs_of_one_look_are_one_result() -> None:
    both = package(MASK, CLASSES, NUMBER, PLACES, segments=SEGMENTS)
    result = predict(both, network, volume_input(marked()))
    assert result.outcome is Outcome.FINDINGS
    assert [f.tracking_identifier for f in result.findings] == [
        "Nodule 1",  # the segment, and then the class and the quantity
        "Class 0 1",
        "Mean 1",
        "Nodule 1",
    ]
    segment, pneumonia, mean, place = result.findings
    assert segment.segment_number == 1
    assert segment.measurements[0].value == pytest.approx(12 * SPACING.prod() / 1000, abs=1e-3)
    np.testing.assert_array_equal(result.masks[0].array, marked().astype(np.uint8))
    assert pneumonia.probability == pytest.approx(1 / (1 + np.exp(-2)))
    assert mean.measurements[0].value == pytest.approx(marked().mean())
    assert place.region is not None
    assert [(a.code.meaning, a.answer) for a in result.assessments] == [
        ("Pleural effusion", Answer.UNDECIDED)
    ]


def test_an_empty_mask_beside_an_undecided_class_is_no_negative_study() -> None:
    both = package(MASK, CLASSES, segments=SEGMENTS)
    result = predict(both, network, volume_input(np.zeros(SHAPE)))
    assert result.outcome is Outcome.ABSTAINED
    assert result.reason == "Network is not sure enough for an answer: Pleural effusion."
    assert not result.findings


def test_a_number_that_cannot_be_takes_the_mask_with_it() -> None:
    both = package(MASK, NUMBER, segments=SEGMENTS)
    with pytest.raises(InputError, match="believes 0–1"):
        predict(both, network, volume_input(marked() * 1000))


def test_each_output_has_its_maps() -> None:
    both = package(MASK, CLASSES, segments=SEGMENTS, augment=[(0,)], saliency={"blocks": 2})
    asked = volume_input(marked(), MapKind.SALIENCY, MapKind.UNCERTAINTY)
    result = predict(both, network, asked)
    assert [(m.kind, m.label) for m in result.maps] == [
        (MapKind.UNCERTAINTY, "Network"),
        (MapKind.SALIENCY, "Class 0"),
    ]
    assert not result.maps[0].volume.array.any()
