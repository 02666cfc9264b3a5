"""The runtime that is chosen gives torch's answers, or is not chosen; and it calls nobody."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.log import configure
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.backends.choose import on_backend
from dicom_ai_node.models.backends.eager import eager
from dicom_ai_node.models.backends.fitted import fitted
from dicom_ai_node.models.backends.window import window_shape
from dicom_ai_node.models.network.infer import named
from tests.models.network.packages import ARGMAX, SEGMENT, WINDOWS, network, torch_package
from tests.models.phantom import model_input

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a verb that ran before in this process has set up."""
    configure(level="info")


def package(**fields: Any) -> NetworkPackage:
    described = {
        "name": "small", "version": "1", "title": "A small network", "device": "cpu",
        "inference": WINDOWS, "outputs": [ARGMAX], "segments": [SEGMENT],
    } | fields  # fmt: skip
    return NetworkPackage.model_validate(described)


def test_auto_is_openvino_on_the_cpu_and_gives_torchs_mask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = safetensors_bytes(network().state_dict())
    values = np.random.default_rng(0).normal(size=(18, 9, 12)).astype(np.float32)
    windows = WINDOWS | {"batch": 3}
    masks = []
    for backend in ("torch", "auto"):
        (tmp_path / backend).mkdir()
        made = torch_package(tmp_path / backend, weights, backend=backend, inference=windows)
        masks.append(open_model(made).predict(model_input(values)).masks[0].array)
    assert np.array_equal(*masks)
    said = capsys.readouterr()
    assert "backend_chosen" in said.out + said.err


@pytest.mark.parametrize(
    "backend", ["openvino", pytest.param("onnxruntime", marks=pytest.mark.slow)]
)
def test_a_runtime_answers_in_float32_by_the_networks_own_keys(backend: str) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            scores = self.inner(x)
            return {"seg": scores, "sum": scores.sum(dim=(1, 2, 3, 4), keepdim=True)[:, :, 0, 0, 0]}

    module = Named().eval()
    windows = torch.randn(3, 1, 8, 8, 8)
    plain = named(eager(module, package(), CPU)(windows))
    run = on_backend(module, package(backend=backend), CPU)
    fast = named(run(windows))
    run(windows + 1)  # whose answers must not lie where these do
    assert list(fast) == ["seg", "sum"]
    for key, expected in plain.items():
        assert fast[key].dtype == torch.float32
        assert (fast[key] - expected).abs().max() < 1e-3


class Differing(nn.Module):
    """Another network once it is exported, as a fault of a converter would make it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.01 if torch.compiler.is_exporting() else 1.0)


class Branching(nn.Module):
    """Cannot be exported: what it does depends on what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x


@pytest.mark.parametrize(
    ("module", "reason"), [(Differing(), "its answers differ"), (Branching(), "not_taken")]
)
def test_auto_stays_with_torch_where_openvino_does_not_do(
    module: nn.Module, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = on_backend(module.eval(), package(), CPU)
    assert run(torch.ones(2, 1, 8, 8, 8)).shape[0] == 2
    said = capsys.readouterr()
    assert "backend_is_torch" in said.out + said.err
    assert reason in said.out + said.err
    with pytest.raises(ModelError, match=r"small does not run in openvino: .*backend: auto"):
        on_backend(module, package(backend="openvino"), CPU)


class Writing(nn.Module):
    """Begins in place, as one that normalises its input may."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sub_(1)


def test_a_network_that_writes_over_its_input_writes_over_a_copy() -> None:
    """Windows are views of the prepared input, which overlap; and that may be the study itself."""
    given = torch.ones(1, 1, 8, 8, 8)
    eager(Writing(), package(), CPU)(given)
    assert bool((given == 1).all())


class Silent(nn.Module):
    """Finds no box in noise, as a detector may."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :0]


def test_a_runtime_that_cannot_be_compared_is_not_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    on_backend(Silent(), package(), CPU)
    said = capsys.readouterr()
    assert "cannot be compared" in said.out + said.err


def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"onnxruntime is missing: pip install .*\[onnx\]"):
        on_backend(network(), package(backend="onnxruntime"), CPU)


def test_a_study_of_any_size_is_torchs() -> None:
    whole = package(inference={"kind": "whole"})
    run = on_backend(network(), whole, CPU)
    assert run(torch.zeros(1, 1, 6, 4, 8)).shape == (1, 2, 6, 4, 8)
    with pytest.raises(ModelError, match="no fixed size: use a sliding window, or Resize"):
        on_backend(network(), whole.model_copy(update={"backend": "openvino"}), CPU)


RESIZE = {"name": "Resize", "spatial_size": [16, 12, 8]}


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({}, (1, 1, 8, 8, 8)),
        ({"inputs": ["t1", "t2"]}, (1, 2, 8, 8, 8)),
        ({"inference": {"kind": "whole"}}, None),
        ({"inference": {"kind": "whole"}, "preprocess": [RESIZE]}, (1, 1, 16, 12, 8)),
        ({"inference": {"kind": "slices", "axis": 1}, "preprocess": [RESIZE]}, (1, 1, 16, 8)),
        (
            {
                "inference": {"kind": "whole"},
                "input": "images",
                "preprocess": [
                    {"name": "ResizeWithPadOrCrop", "spatial_size": [32, 32]},
                    {"name": "RepeatChannel", "repeats": 3},
                ],
            },
            (1, 3, 32, 32),
        ),
        (
            {"inference": {"kind": "whole"}, "preprocess": [RESIZE, {"name": "CropForeground"}]},
            None,
        ),
        (
            {
                "inference": {"kind": "whole"},
                "preprocess": [{"name": "Resize", "spatial_size": [-1, 12, 8]}],
            },
            None,
        ),
        (
            {
                "inference": {"kind": "whole"},
                "preprocess": [{"name": "Resize", "spatial_size": 64, "size_mode": "longest"}],
            },
            None,
        ),
    ],
)
def test_the_size_of_a_window_is_known_from_the_description(
    fields: dict[str, Any], shape: tuple[int, ...] | None
) -> None:
    assert window_shape(package(**fields)) == shape


def test_a_batch_is_run_in_the_sizes_that_are_taken() -> None:
    sizes = []

    def run(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return batch * 2

    batch = torch.randn(3, 1, 4)
    assert torch.equal(named(fitted(run, (1, 1, 4))(batch))[0], batch * 2)
    assert torch.equal(named(fitted(run, (None, 1, None))(batch))[0], batch * 2)
    assert sizes == [1, 1, 1, 3]
    with pytest.raises(ModelError, match="takes 1 × 1 × 5, and was given 1 × 1 × 4"):
        fitted(run, (1, 1, 5))(batch)


def test_openvino_calls_nobody_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its converter would write a client's number into the home folder, and tell Intel."""
    script = """
import sys
said = []
watched = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request")
sys.addaudithook(lambda event, _: said.append(event) if event in watched else None)
from tests.models.backends.test_backends import *
on_backend(nn.Conv3d(1, 2, 1).eval(), package(backend="openvino"), CPU)(torch.zeros(1, 1, 8, 8, 8))
import time
assert "openvino" in sys.modules
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
assert not said, said
"""
    home = {"HOME": str(tmp_path), "CI": ""}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=os.environ | home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (tmp_path / "intel").exists()
