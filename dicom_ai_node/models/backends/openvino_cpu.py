"""OpenVINO on the CPU, in float32, and without its telemetry."""

import io
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

Run = Callable[[Tensor], tuple[Tensor, ...]]


def openvino() -> ModuleType:
    """ImportError where it is not installed.

    `openvino.convert_model` tells its maker of every conversion. We call the frontends below it,
    and openvino_telemetry cannot be imported in this process.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino as found

    module: ModuleType = found
    return module


def compiled_program(program: ExportedProgram, shape: Sequence[int]) -> Run:
    """Takes (batch, channels, *spatial) of exactly `shape`.

    Raises RuntimeError, or a failure of `openvino.frontend`, for an operation that is not known.
    """
    openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    with _quiet():
        decoder = TorchFXPythonDecoder.from_exported_program(program)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    model.reshape({model.inputs[0]: list(shape)})
    return _compiled(model, range(len(model.outputs)))


def read_graph(graph: bytes | Path) -> Any:
    """An ONNX graph; from its bytes alone where it has no external data."""
    return openvino().Core().read_model(io.BytesIO(graph) if isinstance(graph, bytes) else graph)


def compiled_graph(model: Any, outputs: Sequence[int]) -> Run:
    return _compiled(model, outputs)


def _compiled(model: Any, outputs: Sequence[int]) -> Run:
    properties = {
        # else OpenVINO takes bfloat16 where the CPU has it, and segments other voxels
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # several attempt processes share the cores
    }
    request = openvino().Core().compile_model(model, "CPU", properties).create_infer_request()

    def run(batch: Tensor) -> tuple[Tensor, ...]:
        found = request.infer([batch.contiguous().numpy()], share_inputs=True)
        return tuple(torch.from_numpy(found[place]) for place in outputs)

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """The decoder logs a traceback for each operation that this torch no longer decomposes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
