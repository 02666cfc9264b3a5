"""ONNX Runtime, on the CPU or by CUDA, in float32."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.backends.openvino_cpu import Run

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"


def onnxruntime() -> ModuleType:
    """ImportError where it is not installed."""
    import onnxruntime as found

    module: ModuleType = found
    return module


def session(graph: bytes, device: str, files: Mapping[str, bytes] | None = None) -> Any:
    """`files` are its external data by the names that the graph gives them; none is read from disk.

    Raises ModelError for a device that is not here, or a graph that cannot be loaded.
    """
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    if files:
        names = list(files)
        sizes = [len(files[name]) for name in names]
        options.add_external_initializers_from_files_in_memory(names, list(files.values()), sizes)
    try:
        return ort.InferenceSession(graph, options, providers=_providers(ort, device))
    except _failures(ort) as error:
        first = str(error).splitlines()[0][:200]
        raise ModelError(f"ONNX Runtime cannot load the graph: {first}") from None


def run_of(opened: Any, outputs: Sequence[str]) -> Run:
    name = opened.get_inputs()[0].name

    def run(batch: Tensor) -> tuple[Tensor, ...]:
        found = opened.run(list(outputs), {name: batch.contiguous().numpy()})
        return tuple(torch.from_numpy(each) for each in found)

    return run


def _providers(ort: ModuleType, device: str) -> list[Any]:
    cuda = _CUDA in ort.get_available_providers()
    if device == "cuda" and not cuda:
        raise ModelError(
            "ONNX Runtime has no CUDA here: install onnxruntime-gpu, or write device: auto"
        )
    if device == "mps":
        raise ModelError("ONNX Runtime does not run on MPS here: write device: auto in model.yaml")
    # tf32 would round the inputs of every product to 10 bits
    return [(_CUDA, {"use_tf32": "0"}), _CPU] if cuda and device != "cpu" else [_CPU]


def _failures(ort: ModuleType) -> tuple[type[Exception], ...]:
    state = ort.capi.onnxruntime_pybind11_state
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile")
    return (*(getattr(state, name) for name in names), state.NotImplemented, RuntimeError)
