"""TorchScript and state dicts into files without code, with the same answers."""

import os
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dicom_ai_node.errors import ConfigError, ModelError
from dicom_ai_node.models.formats.convert import Conversion, convert, convert_here


class Branching(nn.Module):
    """Scripted, not traced: its graph knows an if."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)) if x.shape[1] == 1 else x
        return torch.relu(y)


class Reaching(nn.Module):
    """Fixed to one batch: it spreads the batch over the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 2, 4, 4) * 2


class Hanging(nn.Module):
    """Its code runs, for ever, as soon as it is loaded."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> Tensor:
        return torch.zeros(1)

    @torch.jit.export
    def __setstate__(self, state: Tensor) -> None:
        while bool((state >= 0).all()):
            state = state + 1


def unet() -> nn.Module:
    from monai.networks.nets import UNet

    torch.manual_seed(3)
    return UNet(3, 1, 2, (4, 8), (2,), num_res_units=1).eval()


def script(network: nn.Module, path: Path, example: Tensor | None = None) -> Path:
    with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated, and still about
        made = torch.jit.script(network) if example is None else torch.jit.trace(network, example)
        torch.jit.save(made, path)
    return path


def converted(source: Path, target: Path, shape: tuple[int, ...] | None = None) -> str:
    return convert_here(Conversion(source=source, target=target, shape=shape))


def converted_apart(source: Path, target: Path, shape: tuple[int, ...] | None = None) -> str:
    return convert(source, target, shape, timeout_s=300, memory_mb=8192)


def test_a_traced_network_becomes_a_program_with_its_answers(tmp_path: Path) -> None:
    """And takes any number of windows at a time."""
    network = unet()
    source = script(network, tmp_path / "a.pt", torch.rand(1, 1, 16, 16, 16))
    said = converted_apart(source, tmp_path / "a.pt2", (1, 1, 16, 16, 16))
    assert said.startswith("a program for batches of any size")
    program = torch.export.load(tmp_path / "a.pt2").module()
    for batch in (1, 3):
        given = torch.rand(batch, 1, 16, 16, 16)
        assert torch.allclose(program(given), network(given), atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "a.pt2"]


def test_a_scripted_network_becomes_a_program_with_its_answers(tmp_path: Path) -> None:
    network = Branching().eval()
    source = script(network, tmp_path / "a.pt")
    converted(source, tmp_path / "a.pt2", (1, 1, 8, 8))
    given = torch.rand(2, 1, 8, 8)
    answer = torch.export.load(tmp_path / "a.pt2").module()(given)
    assert torch.allclose(answer, network(given), atol=1e-5)


def test_a_network_for_one_batch_says_so(tmp_path: Path) -> None:
    source = script(Reaching(), tmp_path / "a.pt")
    said = converted(source, tmp_path / "a.pt2", (2, 1, 4, 4))
    assert said.startswith("a program for batches of 2,")


def test_torchscript_becomes_weights_for_a_network_of_monai(tmp_path: Path) -> None:
    network = unet()
    source = script(network, tmp_path / "a.ts", torch.rand(1, 1, 16, 16, 16))
    converted(source, tmp_path / "a.safetensors")
    again = unet()
    with torch.no_grad():
        for value in again.parameters():
            value.zero_()
    again.load_state_dict(load_file(tmp_path / "a.safetensors"))
    given = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(again(given), network(given))


@pytest.mark.parametrize("key", [None, "state_dict"])
def test_a_state_dict_becomes_safetensors(tmp_path: Path, key: str | None) -> None:
    """Also one whose tensors share memory, and one among what a trainer keeps."""
    weight = torch.rand(4, 4)
    state = {"a": weight, "b": weight.T, "n": torch.tensor(7)}
    torch.save(state if key is None else {key: state, "epoch": 3}, tmp_path / "a.pt")
    assert converted(tmp_path / "a.pt", tmp_path / "a.safetensors") == "3 tensors, 33 numbers"
    found = load_file(tmp_path / "a.safetensors")
    assert {name: torch.equal(found[name], state[name]) for name in state} == dict.fromkeys(
        state, True
    )


@pytest.mark.fault("E13")
def test_a_checkpoint_that_is_code_is_not_opened(tmp_path: Path) -> None:
    class Malice:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"state_dict": Malice()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Malice(), 2))
    torch.save(unet(), tmp_path / "c.pt")
    for name in ("b.pt", "c.pt"):
        with pytest.raises(ModelError, match=r"state_dict\(\)"):
            converted(tmp_path / name, tmp_path / "out.safetensors")
    with pytest.raises(ModelError, match=r"a\.pt was not converted: .*state_dict\(\)"):
        converted_apart(tmp_path / "a.pt", tmp_path / "out.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "b.pt", "c.pt"]


@pytest.mark.fault("E13")
def test_torchscript_that_never_ends_is_ended(tmp_path: Path) -> None:
    source = script(Hanging(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"a\.pt was not converted: it took longer than 8 s"):
        convert(source, tmp_path / "a.pt2", (1, 1), timeout_s=8, memory_mb=8192)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_what_does_not_fit_is_said_before_anything_runs(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pt")
    for source, target, message in (
        ("a.pt", "a.onnx", r"a\.onnx ends neither with"),
        ("a.pt", "a.pt2", "--input-shape"),
        ("none.pt", "a.safetensors", "is no file"),
    ):
        with pytest.raises(ConfigError, match=message):
            converted_apart(tmp_path / source, tmp_path / target)
    with pytest.raises(ModelError, match="holds weights and no network"):
        converted(tmp_path / "a.pt", tmp_path / "a.pt2", (1, 1))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "a.pt")
    with pytest.raises(ConfigError, match="there is no folder"):
        converted_apart(tmp_path / "a.pt", tmp_path / "no" / "a.safetensors")
