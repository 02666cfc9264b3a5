"""ONNX graphs, in both runtimes; external data that lies in the package, and that does not."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dicom_ai_node.errors import ModelChanged, ModelError
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.formats.onnx_external import external_files
from tests.models.network.packages import ARGMAX, installed
from tests.models.phantom import model_input

GRAPH = {"graph": {"file": "graph.onnx"}}
BACKENDS = ["onnxruntime", "openvino"]
SCALES = np.array([1.0, -1.0], np.float32).reshape(2, 1, 1, 1, 1)  # channel 1 wins below zero


def model(
    batch: int | str = "n", location: str | None = None, element: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """Two channels, x and -x, from one 1×1×1 convolution."""
    scales = helper.make_tensor("scales", TensorProto.FLOAT, SCALES.shape, SCALES.ravel())
    if location is not None:
        scales.ClearField("float_data")
        scales.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "8")):
            scales.external_data.add(key=key, value=value)
    shape = [batch, 1, "d", "h", "w"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "scales"], ["scores"]),
         helper.make_node("Abs", ["scores"], ["sizes"])],
        "small",
        [helper.make_tensor_value_info("image", element, shape)],
        [helper.make_tensor_value_info("scores", element, [batch, 2, "d", "h", "w"]),
         helper.make_tensor_value_info("sizes", element, [batch, 2, "d", "h", "w"])],
        [scales],
    )  # fmt: skip
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(10, 9, 12)).astype(np.float32)


def answer(folder: Path, content: bytes, files: dict[str, bytes] | None = None, **fields: Any):
    made = installed(folder, "onnx", {"graph.onnx": content} | (files or {}), **(GRAPH | fields))
    return open_model(made).predict(model_input(values())).masks[0].array


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("output", [0, "scores"])
def test_a_graph_answers(tmp_path: Path, backend: str, batch: int | str, output: int | str) -> None:
    """Windows of four, where it takes one alone as well."""
    windows = {"kind": "sliding_window", "roi_size": [8, 8, 8], "batch": 4}
    found = answer(
        tmp_path,
        model(batch).SerializeToString(),
        backend=backend,
        inference=windows,
        outputs=[ARGMAX | {"output": output}],
    )
    assert np.array_equal(found, values() < 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_may_lie_beside_the_graph(tmp_path: Path, backend: str) -> None:
    graph = model(location="graph.data").SerializeToString()
    assert external_files(graph) == {"graph.data"}
    found = answer(tmp_path, graph, {"graph.data": SCALES.tobytes()}, backend=backend)
    assert np.array_equal(found, values() < 0)


@pytest.mark.fault("E13")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", ["../outside", "{outside}", "link", "weights/../../outside"])
def test_weights_outside_the_package_are_never_read(tmp_path: Path, backend: str, way: str) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SCALES.tobytes())
    graph = model(location=way.format(outside=outside)).SerializeToString()
    made = installed(tmp_path, "onnx", {"graph.onnx": graph}, backend=backend, **GRAPH)
    (made.folder / "link").symlink_to(outside)
    with pytest.raises(ModelError, match="which is no file of the package"):
        open_model(made)


@pytest.mark.fault("E12")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("file", ["graph.onnx", "graph.data"])
def test_a_changed_file_is_never_loaded(tmp_path: Path, backend: str, file: str) -> None:
    files = {
        "graph.onnx": model(location="graph.data").SerializeToString(),
        "graph.data": SCALES.tobytes(),
    }
    made = installed(tmp_path, "onnx", files, backend=backend, **GRAPH)
    (made.folder / file).write_bytes(files[file] + b"\0")
    with pytest.raises(ModelChanged, match=file):
        open_model(made)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cut", [0, 40])
def test_bytes_that_are_no_graph_are_refused(tmp_path: Path, backend: str, cut: int) -> None:
    content = model().SerializeToString()[:cut]
    with pytest.raises(ModelError, match=r"cannot load the graph|no ONNX file"):
        answer(tmp_path, content, backend=backend)


def test_a_graph_of_half_precision_is_named(tmp_path: Path) -> None:
    graph = model(element=TensorProto.FLOAT16)
    weights = SCALES.astype(np.float16)
    half = helper.make_tensor("scales", TensorProto.FLOAT16, SCALES.shape, weights.ravel())
    graph.graph.initializer[0].CopyFrom(half)
    with pytest.raises(ModelError, match=r"takes tensor\(float16\): export it with .* float32"):
        answer(tmp_path, graph.SerializeToString(), backend="onnxruntime")


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]


@pytest.mark.usefixtures("not_installed")
@pytest.mark.parametrize(("backend", "extra"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_a_runtime_that_is_missing_says_how_to_get_it(
    tmp_path: Path, backend: str, extra: str
) -> None:
    sentence = rf'{backend}, which is not installed: pip install "dicom-ai-node\[{extra}\]"'
    with pytest.raises(ModelError, match=sentence):
        answer(tmp_path, model().SerializeToString(), backend=backend)


def test_cuda_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="device: auto"):
        answer(tmp_path, model().SerializeToString(), backend="onnxruntime", device="cuda")


def test_torch_cannot_run_a_graph(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="torch does not run ONNX"):
        answer(tmp_path, model().SerializeToString(), backend="torch")


def test_external_data_within_subgraphs_is_found() -> None:
    inner = model(location="deep.data").graph
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    outer = helper.make_model(helper.make_graph([node], "outer", [], []))
    assert external_files(outer.SerializeToString()) == {"deep.data"}
    assert external_files(model().SerializeToString()) == set()


@pytest.mark.fault("E13")
def test_a_tag_that_protobuf_reads_in_another_way_is_refused() -> None:
    """It drops what lies beyond 32 bits, and would find a field where we had seen none."""
    graph = model().SerializeToString()
    assert external_files(graph + b"\xba\x06\x00") == set()  # field 103, empty
    with pytest.raises(ModelError, match="no ONNX file"):
        external_files(graph + b"\xba\x86\x80\x80\x10\x00")


def test_onnx_itself_names_the_same_files(tmp_path: Path) -> None:
    """As written by the library that others use."""
    made = model()
    made.graph.initializer[0].raw_data = SCALES.tobytes()
    made.graph.initializer[0].ClearField("float_data")
    path = tmp_path / "graph.onnx"
    onnx.save_model(made, path, save_as_external_data=True, location="all.bin", size_threshold=0)
    assert external_files(path.read_bytes()) == {"all.bin"}
    assert io.BytesIO((tmp_path / "all.bin").read_bytes()).read() == SCALES.tobytes()
