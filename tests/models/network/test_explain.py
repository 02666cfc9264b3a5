"""What an answer was drawn from: maps of networks that look at one place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets.classifier import Classifier
from safetensors.torch import save
from torch import Tensor, nn

from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.result import MapKind, Result
from tests.models.network.oblique import SHAPE, entry, images_input, package, predict, volume_input
from tests.models.network.packages import torch_package

ASKED = MapKind.SALIENCY
CLASSIFICATION = {"task": "classification", "classes": [entry(0), entry(1)]}
HEATMAP = {"task": "detection", "form": "heatmap", "activation": "sigmoid", "classes": [entry()]}
BOXES = {"task": "detection", "classes": [entry()]}


class Net(nn.Module):
    """Bright voxels (two features, the second of dark ones), pooled, to two logits.

    The first class is bright, and the second nothing.
    """

    def __init__(self, axes: int = 3, task: str = "classification") -> None:
        super().__init__()
        convolution = nn.Conv3d if axes == 3 else nn.Conv2d
        self.task = task
        self.features = nn.Sequential(convolution(1, 2, 1), nn.ReLU(inplace=True))
        self.features[0].weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, *[1] * axes)
        self.features[0].bias.data = torch.zeros(2)
        self.head = nn.Linear(2, 2)
        self.head.weight.data = torch.tensor([[400.0, 0.0], [0.0, 0.0]])
        self.head.bias.data = torch.tensor([-1.0, -1.0])
        self.unused = convolution(1, 1, 1)

    def forward(self, batch: Tensor) -> Any:
        features = self.features(batch)
        if self.task == "heatmap":
            return features[:, :1] * 4 - 2
        numbers = self.head(features.flatten(2).mean(2))
        if self.task == "boxes":
            box = torch.tensor([[2, 3, 4, 5, 6, 7]]).float()
            score = numbers[0, :1].sigmoid()
            return {"boxes": box, "scores": score, "labels": torch.zeros(1, dtype=torch.long)}
        return numbers


def bright() -> np.ndarray:
    """Off every axis of symmetry."""
    array = np.zeros(SHAPE)
    array[11:14, 2:4, 5:9] = 1
    return array


def explained(output: dict[str, Any], net: Net, saliency: Any, **changes: Any) -> Result:
    described = package(output, saliency=saliency, **changes)
    return predict(described, net, volume_input(bright(), ASKED), module=net)


@pytest.mark.parametrize(
    ("output", "task"),
    [(CLASSIFICATION, "classification"), (HEATMAP, "heatmap"), (BOXES, "boxes")],
)
def test_grad_cam_shows_the_place_that_the_class_was_drawn_from(
    output: dict[str, Any], task: str
) -> None:
    result = explained(output, Net(task=task), {"layer": "features"})
    (found,) = result.maps
    assert (found.kind, found.label) == (MapKind.SALIENCY, "Class 0")
    assert found.volume.array.dtype == np.float32
    assert found.volume.array.max() == pytest.approx(1)
    np.testing.assert_array_equal(found.volume.array > 0.5, bright() > 0)


def test_grad_cam_reads_detectors_that_answer_with_a_list_of_one() -> None:
    net = Net(task="boxes")
    plain = net.forward
    net.forward = lambda batch: [plain(batch)]  # type: ignore[method-assign]
    (found,) = explained(BOXES, net, {"layer": "features"}).maps
    np.testing.assert_array_equal(found.volume.array > 0.5, bright() > 0)


def test_grad_cam_bears_a_network_that_begins_in_place() -> None:
    net = Net()
    plain = net.forward
    net.forward = lambda batch: plain(batch.mul_(1))  # type: ignore[method-assign]
    (found,) = explained(CLASSIFICATION, net, {"layer": "features"}).maps
    np.testing.assert_array_equal(found.volume.array > 0.5, bright() > 0)


def test_a_map_comes_back_onto_the_grid_of_the_source() -> None:
    steps = [
        {"name": "Flip", "spatial_axis": 2},
        {"name": "Rotate90", "spatial_axes": (0, 1)},
        {"name": "SpatialPad", "spatial_size": (16, 18, 24)},
    ]
    result = explained(CLASSIFICATION, Net(), {"layer": "features"}, preprocess=steps)
    (found,) = result.maps
    np.testing.assert_array_equal(found.volume.array > 0.5, bright() > 0)


@pytest.mark.parametrize(
    ("output", "task"),
    [(CLASSIFICATION, "classification"), (HEATMAP, "heatmap"), (BOXES, "boxes")],
)
def test_without_gradients_parts_of_the_input_are_covered(
    output: dict[str, Any], task: str
) -> None:
    """To the size of a block the map is highest where the answer comes from."""
    net = Net(task=task)
    if task == "heatmap":
        net.features[0].weight.data *= 2
    described = package(output, saliency={"layer": "features", "blocks": 4})
    result = predict(described, net, volume_input(bright(), ASKED))
    (found,) = result.maps
    array = found.volume.array
    assert array.max() == pytest.approx(1)
    inside, outside = array[bright() > 0], array[:8, 6:]
    assert inside.min() > 0.3
    assert outside.max() < 0.1


def test_maps_are_made_only_where_they_are_asked_for_and_described() -> None:
    net = Net()
    described = package(CLASSIFICATION, saliency={"layer": "features"})
    assert not predict(described, net, volume_input(bright()), module=net).maps
    assert not explained(CLASSIFICATION, net, None).maps


def test_a_class_that_was_not_found_has_no_map() -> None:
    net = Net()
    described = package(CLASSIFICATION, saliency={"layer": "features"})
    result = predict(described, net, volume_input(np.zeros(SHAPE), ASKED), module=net)
    assert not result.findings
    assert not result.maps


def test_images_have_no_maps_yet() -> None:
    net = Net(axes=2)
    data = images_input(np.ones((8, 9)))
    described = package(CLASSIFICATION, saliency={"layer": "features"}, input="images")
    asked = type(data)(headers=data.headers, images=data.images, maps=frozenset({ASKED}))
    result = predict(described, net, asked, module=net)
    assert result.findings
    assert not result.maps


def test_nothing_of_it_stays_in_the_network() -> None:
    """It is open for the next study: no hook, no gradient, the same answer."""
    net = Net()
    described = package(CLASSIFICATION, saliency={"layer": "features"})
    model = NetworkModel(described, net, net)
    first, second = (model.predict(volume_input(bright(), ASKED)) for _ in range(2))
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert first.findings == second.findings
    np.testing.assert_array_equal(first.maps[0].volume.array, second.maps[0].volume.array)


def test_a_layer_that_the_network_has_not_is_found_when_it_is_opened() -> None:
    net = Net()
    described = package(CLASSIFICATION, saliency={"layer": "features.7"})
    with pytest.raises(ModelError, match=r"net has no layer features\.7"):
        NetworkModel(described, net, net)


@pytest.mark.parametrize("layer", ["unused", "head"])
def test_a_layer_that_shows_no_place_is_a_fault_of_the_package(layer: str) -> None:
    with pytest.raises(ModelError, match=f"the layer {layer} has no values with a place"):
        explained(CLASSIFICATION, Net(), {"layer": layer})


def test_an_installed_network_of_monai_explains_itself(tmp_path: Path) -> None:
    arguments = {"in_shape": [1, *SHAPE], "classes": 1, "channels": [4, 8], "strides": [2, 2]}
    torch.manual_seed(0)
    weights = save(Classifier(**arguments).state_dict())
    installed = torch_package(
        tmp_path,
        weights,
        network={"name": "Classifier", "arguments": arguments},
        inference={"kind": "whole"},
        segments=[],
        outputs=[CLASSIFICATION | {"classes": [entry(0, threshold=0.0)]}],
        saliency={"layer": "net.layer_0"},
    )
    rng = np.random.default_rng(0)
    result = open_model(installed).predict(volume_input(rng.random(SHAPE), ASKED))
    (found,) = result.maps
    assert 0 < found.volume.array.mean() < 1
