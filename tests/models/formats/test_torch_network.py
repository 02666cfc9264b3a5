"""A network by its name, or the package's own, with a state dict that runs nothing."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.formats.torch_network import read_state
from tests.models.network.packages import NETWORK, network, torch_package
from tests.models.phantom import model_input

OWN = b"""
from torch import nn

class Own(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale
        self.layer = nn.Conv3d(1, 2, 1)

    def forward(self, x):
        return self.layer(x) * self.scale

nothing = 3
"""


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def answer(installed: InstalledModel) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(10, 9, 12))
    result = open_model(installed).predict(model_input(values.astype(np.float32)))
    return result.masks[0].array


@pytest.mark.parametrize(
    "wrap",
    [
        safetensors_bytes,
        saved,
        *(lambda state, key=key: saved({key: state, "epoch": 3})
          for key in ("state_dict", "model_state_dict", "model", "network")),
    ],
)  # fmt: skip
def test_every_form_of_weights_gives_the_answer_of_the_network(tmp_path: Path, wrap: Any) -> None:
    values = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    made = torch_package(tmp_path, wrap(network().state_dict()))
    found = open_model(made).predict(model_input(values)).masks[0].array
    with torch.inference_mode():
        expected = network()(torch.from_numpy(values)[None, None]).argmax(dim=1)[0]
    assert np.array_equal(found, expected.numpy())
    assert found.any()


@pytest.mark.fault("E13")
def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    """Neither as the file, nor within what torch.save writes."""
    mark = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (mark,))

    for content in (pickle.dumps(Hostile()), saved(Hostile()), saved({"state_dict": Hostile()})):
        with pytest.raises(ModelError, match="neither safetensors nor a plain state dict"):
            read_state(content)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"{}", saved([1, 2]), saved({"a": 3})])
def test_bytes_that_are_no_weights_are_named(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"the weights (are neither|hold something else)"):
        read_state(content)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = {"name": "UNet", "arguments": NETWORK["arguments"] | {"channels": [4, 16]}}
    made = torch_package(tmp_path, saved(network().state_dict()), network=other)
    with pytest.raises(ModelError, match="the weights of small are not for this network: size mis"):
        open_model(made)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"name": "UNot"}, "monai.networks.nets has no network UNot"),
        ({"name": "functools"}, "monai.networks.nets has no network functools"),
        ({"name": "UNet", "arguments": {"depth": 3}}, "UNet cannot be built: .*depth"),
        ({"name": "UNet", "arguments": NETWORK["arguments"] | {"strides": []}}, "cannot be built"),
    ],
)
def test_a_network_that_cannot_be_built_is_named(
    tmp_path: Path, entry: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        open_model(torch_package(tmp_path, saved({}), network=entry))


def own(folder: Path, name: str = "Own") -> InstalledModel:
    state = saved({"layer.weight": torch.ones(2, 1, 1, 1, 1), "layer.bias": torch.tensor([0.0, 1])})
    source = folder / "source"
    source.mkdir()
    (source / "own.py").write_bytes(OWN)
    entry = {"name": name, "file": "own.py", "arguments": {"scale": 2.0}}
    return torch_package(folder, state, network=entry)


@pytest.mark.fault("E13")
def test_a_module_of_its_own_runs_only_when_it_is_trusted(tmp_path: Path) -> None:
    made = own(tmp_path)
    with pytest.raises(ModelError, match=rf"node.trusted_models: \[{made.sha256}\]"):
        open_model(made)
    assert (answer(made.model_copy(update={"trusted": True})) == 1).all()


def test_a_module_of_its_own_without_that_network_is_named(tmp_path: Path) -> None:
    made = own(tmp_path, name="nothing").model_copy(update={"trusted": True})
    with pytest.raises(ModelError, match=r"own.py has no network nothing"):
        open_model(made)
