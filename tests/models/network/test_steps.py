"""Every step that a package may name leaves alone what it is given, and keeps nothing of it."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor

from dicom_ai_node.config.steps import POSTPROCESS, PREPROCESS, RESTORE, Step
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.network.steps import applied, transforms_of

STEPS: tuple[dict[str, Any], ...] = (
    {"name": "Orientation", "axcodes": "RAS"},
    {"name": "Orientation", "axcodes": "LPS"},
    {"name": "Spacing", "pixdim": [1, 1, 1]},
    {"name": "Spacing", "pixdim": [2, 2, 2]},
    {"name": "Resize", "spatial_size": [8, 8, 8]},
    {"name": "ResizeWithPadOrCrop", "spatial_size": [8, 8, 8]},
    {"name": "Flip", "spatial_axis": 0},
    {"name": "Rotate90"},
    {"name": "Zoom", "zoom": 1.0},
    {"name": "Zoom", "zoom": 1.5},
    {"name": "CenterSpatialCrop", "roi_size": [4, 4, 4]},
    {"name": "CropForeground"},
    {"name": "CropForeground", "margin": 20},
    {"name": "SpatialPad", "spatial_size": [12, 12, 12]},
    {"name": "DivisiblePad", "k": 4},
    {"name": "BorderPad", "spatial_border": 1},
    {"name": "ScaleIntensity"},
    {"name": "ScaleIntensity", "channel_wise": True},
    {"name": "ScaleIntensity", "minv": None, "maxv": None, "factor": 0.1},
    {"name": "ScaleIntensityRange", "a_min": 0, "a_max": 1, "b_min": 0, "b_max": 1, "clip": True},
    {"name": "ScaleIntensityRangePercentiles", "lower": 1, "upper": 99, "b_min": 0, "b_max": 1,
     "clip": True, "channel_wise": True},
    {"name": "NormalizeIntensity"},
    {"name": "NormalizeIntensity", "nonzero": True},
    {"name": "NormalizeIntensity", "channel_wise": True},
    {"name": "NormalizeIntensity", "nonzero": True, "channel_wise": True},
    {"name": "ShiftIntensity", "offset": 1.0},
    {"name": "ThresholdIntensity", "threshold": 0.5},
    {"name": "ClipIntensityPercentiles", "lower": 1, "upper": 99},
    {"name": "ClipIntensityPercentiles", "lower": 1, "upper": 99, "channel_wise": True},
    {"name": "ClipIntensityPercentiles", "lower": 1, "upper": 99, "sharpness_factor": 3.0},
    {"name": "HistogramNormalize"},
    {"name": "AdjustContrast", "gamma": 2.0},
    {"name": "GaussianSmooth"},
    {"name": "MedianSmooth"},
    {"name": "GaussianSharpen"},
    {"name": "RepeatChannel", "repeats": 2},
    {"name": "Activations", "sigmoid": True},
    {"name": "Activations", "softmax": True},
    {"name": "AsDiscrete", "argmax": True},
    {"name": "AsDiscrete", "threshold": 0.5},
    {"name": "KeepLargestConnectedComponent"},
    {"name": "KeepLargestConnectedComponent", "applied_labels": [1]},
    {"name": "KeepLargestConnectedComponent", "independent": False, "applied_labels": [0]},
    {"name": "RemoveSmallObjects", "min_size": 5},
    {"name": "FillHoles"},
    {"name": "FillHoles", "applied_labels": [1]},
    {"name": "LabelFilter", "applied_labels": [1]},
)  # fmt: skip


def given(values: np.ndarray) -> MetaTensor:
    return MetaTensor(torch.from_numpy(values), affine=np.diag([-1.0, -1.0, 1.0, 1.0]))


@pytest.mark.filterwarnings("ignore")  # MONAI's, of arguments and of data that do not fit
@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step.values())))
@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_does_not_write_over_its_input(step: dict[str, Any], channels: int) -> None:
    """That is the study's own voxels, or the raw answer of the network; and twice is the same."""
    (transform,) = transforms_of([Step.model_validate(step)])
    values = np.random.default_rng(0).integers(0, 2, (channels, 8, 9, 10)).astype(np.float32)
    before = values.copy()
    first = transform(given(values))
    assert np.array_equal(values, before)
    assert torch.equal(torch.as_tensor(transform(given(values))), torch.as_tensor(first))


def test_every_step_is_among_these() -> None:
    assert {step["name"] for step in STEPS} == {*PREPROCESS, *POSTPROCESS} - {RESTORE}


@pytest.mark.parametrize(
    "step",
    [
        {"name": "Orientation", "axcodes": "XYZ"},
        {"name": "KeepLargestConnectedComponent", "applied_labels": [7]},
    ],
)
def test_a_step_that_cannot_be_done_is_named(step: dict[str, Any]) -> None:
    """Its arguments were right for MONAI's constructor, and are not for this input."""
    values = MetaTensor(torch.rand(3, 4, 5, 6), affine=torch.eye(4))
    (transform,) = transforms_of([Step.model_validate(step)])
    with pytest.raises(ModelError, match=f"The step {step['name']} of model.yaml cannot be done"):
        applied(transform, values)
