"""An ONNX graph, in ONNX Runtime or in OpenVINO."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import OnnxPackage
from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.config.outputs import DetectionOutput
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.backends import onnx_runtime, openvino_cpu
from dicom_ai_node.models.backends.fitted import Shape, fitted
from dicom_ai_node.models.backends.openvino_cpu import Run
from dicom_ai_node.models.formats.onnx_external import external_files
from dicom_ai_node.models.network.infer import Network
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.models.pinned import pinned_path, read_pinned
from dicom_ai_node.models.protocol import Model

_FLOAT = "tensor(float)"


def open_onnx(installed: InstalledModel, package: OnnxPackage) -> Model:
    """`backend: auto` is ONNX Runtime, or OpenVINO where that alone is installed."""
    graph = read_pinned(installed, package.graph.file)
    files = _files(installed, package, graph)
    wanted = package.backend
    if wanted == "auto":
        wanted = "onnxruntime" if importlib.util.find_spec("onnxruntime") else "openvino"
    try:
        opened = _openvino if wanted == "openvino" else _onnx_runtime
        return NetworkModel(package, opened(installed, package, graph, files))
    except ImportError as error:
        raise ModelError(
            f"{package.name} needs {error.name}, which is not installed: "
            f'pip install "dicom-ai-node[{"openvino" if wanted == "openvino" else "onnx"}]"'
        ) from None


def _files(installed: InstalledModel, package: OnnxPackage, graph: bytes) -> dict[str, str]:
    """Files of the package by the names that the graph has for them."""
    folder = PurePosixPath(package.graph.file).parent
    found = {name: str(folder / name) for name in sorted(external_files(graph))}
    for name, file in found.items():
        if file not in installed.files:  # which knows no other folders, no links and no ".."
            raise ModelError(
                f"the graph of {package.name} keeps weights in {name[:60]!r}, which is no file "
                "of the package: put it beside the graph and install the package again"
            )
    return found


def _onnx_runtime(
    installed: InstalledModel, package: OnnxPackage, graph: bytes, files: Mapping[str, str]
) -> Network:
    contents = {name: read_pinned(installed, file) for name, file in files.items()}
    opened = onnx_runtime.session(graph, package.device, contents)
    inputs = [(each.type, each.shape) for each in opened.get_inputs()]
    shape = _one_input([shape for _, shape in inputs], package)
    if inputs[0][0] != _FLOAT:
        raise ModelError(f"the graph takes {inputs[0][0]}: export it with an input of float32")
    names = [each.name for each in opened.get_outputs()]
    return _network(onnx_runtime.run_of(opened, _wanted(names, package)), names, package, shape)


def _openvino(
    installed: InstalledModel, package: OnnxPackage, graph: bytes, files: Mapping[str, str]
) -> Network:
    if package.device not in ("auto", "cpu"):
        raise ModelError(f"OpenVINO runs on the CPU here: {package.name} asks for {package.device}")
    for file in files.values():
        pinned_path(installed, file)
    source: Any = pinned_path(installed, package.graph.file) if files else graph
    try:
        model = openvino_cpu.read_graph(source)
        shapes = [
            [size.get_length() if size.is_static else None for size in each.partial_shape]
            for each in model.inputs
        ]
        if any(each.element_type.get_type_name() != "f32" for each in model.inputs):
            raise ModelError("the graph takes other numbers: export it with an input of float32")
        names = [each.any_name for each in model.outputs]
        places = [names.index(name) for name in _wanted(names, package)]
        run = openvino_cpu.compiled_graph(model, places)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1][:200]
        raise ModelError(f"OpenVINO cannot load the graph of {package.name}: {first}") from None
    return _network(run, names, package, _one_input(shapes, package))


def _one_input(shapes: Sequence[Sequence[object]], package: NetworkPackage) -> Shape:
    if len(shapes) != 1:
        raise ModelError(f"the graph of {package.name} takes {len(shapes)} inputs: one is given")
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shapes[0])


def _network(run: Run, names: Sequence[str], package: NetworkPackage, takes: Shape) -> Network:
    wanted = _wanted(names, package)
    by_place = wanted == list(names) and not _names_outputs(package)

    def network(batch: Any) -> object:
        found = run(batch)
        return found if by_place else dict(zip(wanted, found, strict=True))

    return fitted(network, takes)


def _wanted(names: Sequence[str], package: NetworkPackage) -> list[str]:
    """Nothing is computed that no output of the package speaks of, where these go by name."""
    if not _names_outputs(package):
        return list(names)
    return [name for name in names if name in _keys(package)]


def _names_outputs(package: NetworkPackage) -> bool:
    return all(isinstance(key, str) for key in _keys(package))


def _keys(package: NetworkPackage) -> set[int | str]:
    keys: set[int | str] = set()
    for each in package.outputs:
        boxes = isinstance(each, DetectionOutput) and each.form == "boxes"
        keys |= {each.boxes, each.scores, each.labels} if boxes else {each.output}  # type: ignore[union-attr]
    return keys
