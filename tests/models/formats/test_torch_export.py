"""Programs of torch.export, and archives that would run something."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._export.verifier import SpecViolationError

from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.formats.torch_export_network import input_shape, read_program
from tests.models.network.packages import installed, network
from tests.models.phantom import model_input

PROGRAM = {"program": {"file": "program.pt2"}}
GRAPH = "archive/models/model.json"
WEIGHTS = "archive/data/weights/model_weights_config.json"


def exported(module: nn.Module, shape: tuple[int, ...], dynamic: dict[int, Any] | None = None):
    made = io.BytesIO()
    with torch.no_grad():
        program = torch.export.export(
            module, (torch.zeros(shape),), dynamic_shapes=(dynamic,) if dynamic else None
        )
    torch.export.save(program, made)
    return made.getvalue()


@pytest.fixture(scope="module")
def fixed() -> bytes:
    """Takes one window of 8³ at a time."""
    return exported(network(), (1, 1, 8, 8, 8))


def repacked(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def graph(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def changed(members: dict[str, bytes]) -> None:
        program = json.loads(members[GRAPH])
        change(program)
        members[GRAPH] = json.dumps(program).encode()

    return changed


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_program_of_one_window_answers_for_batches(
    fixed: bytes, tmp_path: Path, backend: str
) -> None:
    windows = {"kind": "sliding_window", "roi_size": [8, 8, 8], "batch": 4, "overlap": 0.0}
    fields = PROGRAM | {"inference": windows, "backend": backend}
    made = installed(tmp_path, "torch_export", {"program.pt2": fixed}, **fields)
    values = np.random.default_rng(0).normal(size=(16, 8, 8)).astype(np.float32)
    found = open_model(made).predict(model_input(values)).masks[0].array
    halves = torch.from_numpy(values).reshape(2, 1, 8, 8, 8)
    with torch.inference_mode():
        expected = network()(halves).argmax(dim=1).reshape(16, 8, 8)
    assert np.array_equal(found, expected.numpy())


def test_a_program_of_any_size_says_so_and_answers() -> None:
    auto = torch.export.Dim.AUTO
    content = exported(nn.Conv2d(1, 1, 1), (2, 1, 6, 6), {0: auto, 2: auto, 3: auto})
    program = read_program(content)
    assert input_shape(program) == (None, 1, None, None)
    assert program.module()(torch.zeros(3, 1, 9, 5)).shape == (3, 1, 9, 5)


def test_a_window_of_another_size_is_named(fixed: bytes, tmp_path: Path) -> None:
    windows = {"kind": "sliding_window", "roi_size": [16, 8, 8]}
    made = installed(tmp_path, "torch_export", {"program.pt2": fixed}, inference=windows, **PROGRAM)
    with pytest.raises(ModelError, match="takes 1 × 1 × 8 × 8 × 8, and was given 1 × 1 × 16 × 8"):
        open_model(made).predict(model_input())


def test_a_program_of_two_inputs_is_refused() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a + b

    made = io.BytesIO()
    torch.export.save(torch.export.export(Two(), (torch.zeros(1), torch.zeros(1))), made)
    with pytest.raises(ModelError, match="takes 2 inputs"):
        input_shape(read_program(made.getvalue()))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_bytes_that_are_no_program_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"no \.pt2 archive"):
        read_program(content)


class Hostile:
    """Unpickled, it makes a file where the environment says."""

    def __reduce__(self) -> tuple[object, ...]:
        code = "import os, pathlib; pathlib.Path(os.environ['HOSTILE_MARK']).touch()"
        return (exec, (code,))


CODE = "__import__('pathlib').Path(__import__('os').environ['HOSTILE_MARK']).touch()"


def pickled() -> bytes:
    made = io.BytesIO()
    torch.save(Hostile(), made, pickle_protocol=2)
    return made.getvalue()


def as_weight(members: dict[str, bytes]) -> None:
    config = json.loads(members[WEIGHTS])
    entry = next(iter(config["config"].values()))
    entry["use_pickle"] = True
    members[f"archive/data/weights/{entry['path_name']}"] = pickled()
    members[WEIGHTS] = json.dumps(config).encode()


def as_constant(prefix: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        name = "archive/data/constants/model_constants_config.json"
        entry = {"path_name": f"{prefix}0", "is_param": False, "use_pickle": True}
        config = {"config": {"c": entry | {"tensor_meta": None}}}
        members[name] = json.dumps(config).encode()
        members[f"archive/data/constants/{prefix}0"] = pickle.dumps(Hostile())

    return change


def as_sample(members: dict[str, bytes]) -> None:
    members["archive/data/sample_inputs/model.pt"] = pickled()


def as_legacy(members: dict[str, bytes]) -> None:
    members["archive/data/weights/model.pt"] = pickled()


def as_guard(program: dict[str, Any]) -> None:
    program["guards_code"] = [f"{CODE} is None"]


def as_size(program: dict[str, Any]) -> None:
    values = program["graph_module"]["graph"]["tensor_values"]
    entry = next(iter(values.values()))
    entry["sizes"][0] = {"as_expr": {"expr_str": CODE, "hint": {"as_int": 1}}}


def as_target(program: dict[str, Any]) -> None:
    node = program["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.os.system"
    node["inputs"] = [{"name": "", "arg": {"as_string": "touch $HOSTILE_MARK"}, "kind": 1}]


def as_python(program: dict[str, Any]) -> None:
    """Everything has such names, and much is reached by them."""
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.__class__"


def as_python_below(program: dict[str, Any]) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.add.__init__"


def as_operator(program: dict[str, Any]) -> None:
    node = program["graph_module"]["graph"]["nodes"][0]
    node["inputs"].append({"name": "", "arg": {"as_operator": "torch.os.system"}, "kind": 1})


def as_tree(program: dict[str, Any]) -> None:
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    spec = json.loads(signature["in_spec"])
    spec[1]["context"] = json.dumps({"__enum__": True, "fqn": "antigravity:a", "name": "b"})
    signature["in_spec"] = json.dumps(spec)


HOSTILE = {
    "weight": as_weight,
    "object": as_constant("custom_obj_"),
    "opaque": as_constant("opaque_obj_"),
    "constant": as_constant("tensor_"),
    "legacy": as_legacy,
    "size": graph(as_size),
    "target": graph(as_target),
    "python": graph(as_python),
    "python below": graph(as_python_below),
    "operator": graph(as_operator),
    "tree": graph(as_tree),
}


@pytest.mark.fault("E13")
@pytest.mark.parametrize("way", HOSTILE)
def test_an_archive_that_would_run_something_is_refused(
    fixed: bytes, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv("HOSTILE_MARK", str(mark))
    with pytest.raises(ModelError, match="which torch might run when it loads them"):
        read_program(repacked(fixed, HOSTILE[way]))
    assert not mark.exists()


@pytest.mark.fault("E13")
@pytest.mark.parametrize("way", [as_sample, graph(as_guard)], ids=["sample", "guard"])
def test_what_a_program_does_not_need_is_left_out(
    fixed: bytes,
    way: Callable[[dict[str, bytes]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Example inputs are a pickle in every archive, and guards are code in every one."""
    mark = tmp_path / "ran"
    monkeypatch.setenv("HOSTILE_MARK", str(mark))
    program = read_program(repacked(fixed, way))
    window = torch.randn(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.allclose(program.module()(window), network()(window), atol=1e-6)
    assert not mark.exists()


def test_torch_itself_would_have_run_them(
    fixed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When this fails, torch reads archives more carefully: harmless() may become shorter."""
    mark = tmp_path / "ran"
    monkeypatch.setenv("HOSTILE_MARK", str(mark))
    with pytest.raises(SpecViolationError):
        torch.export.load(io.BytesIO(repacked(fixed, as_weight)))
    assert mark.exists()


def test_a_trusted_package_is_loaded_as_it_is(fixed: bytes) -> None:
    assert input_shape(read_program(fixed, trusted=True)) == (1, 1, 8, 8, 8)
