"""Which runtime a network of torch runs in: the fastest that is here and gives its answers."""

import importlib.util
import io
import warnings

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.log import get_logger
from dicom_ai_node.models.backends import onnx_runtime, openvino_cpu
from dicom_ai_node.models.backends.eager import eager
from dicom_ai_node.models.backends.fitted import fitted
from dicom_ai_node.models.backends.openvino_cpu import Run
from dicom_ai_node.models.backends.window import window_shape
from dicom_ai_node.models.network.infer import Network, named

log = get_logger(__name__)

TOLERANCE = 1e-3  # of the range of the answers, on the CPU in float32


class NotTaken(Exception):
    """A runtime cannot run this network, or runs it to another answer; the text says why."""


def on_backend(
    network: nn.Module,
    package: NetworkPackage,
    device: torch.device,
    program: ExportedProgram | None = None,
) -> Network:
    """As `package.backend` says; `auto` is OpenVINO on a CPU where it gives torch's answers.

    `network` is in its evaluation mode, on `device`; `program` is what it was, if it came exported.
    A runtime that was asked for by name and cannot be had is a ModelError.
    """
    plain = eager(network, package, device)
    wanted = package.backend
    if wanted == "auto":
        on_cpu = device.type == "cpu" and importlib.util.find_spec("openvino") is not None
        wanted = "openvino" if on_cpu and window_shape(package) else "torch"
    if wanted == "torch":
        return plain
    try:
        return _converted(wanted, network, plain, package, device, program)
    except NotTaken as error:
        if package.backend != "auto":
            raise ModelError(
                f"{package.name} does not run in {wanted}: {error}; write backend: auto"
            ) from None
        log.info("backend_is_torch", model=package.name, not_taken=wanted, reason=str(error))
        return plain


def _converted(
    wanted: str,
    network: nn.Module,
    plain: Network,
    package: NetworkPackage,
    device: torch.device,
    program: ExportedProgram | None,
) -> Network:
    if device.type != "cpu":
        raise NotTaken("on a GPU only torch runs a network of torch")
    shape = window_shape(package)
    if shape is None:
        raise NotTaken("its input has no fixed size: use a sliding window, or Resize at the end")
    # the same on every machine and before every study, so that no study decides how others run
    window = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    convert = {"openvino": _by_openvino, "onnxruntime": _by_onnx_runtime}[wanted]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch will change: nothing that we call
        try:
            expected = named(plain(window))
            run = convert(program or torch.export.export(network, (window,)), window)
        except ImportError as error:
            raise NotTaken(f'{error.name} is missing: pip install "{_extra(wanted)}"') from None
        except _failures() as error:
            raise NotTaken(
                f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            ) from None
        keys = tuple(expected)
        _check(dict(enumerate(run(window))), dict(enumerate(expected.values())))
    log.info("backend_chosen", model=package.name, backend=wanted)
    return fitted(lambda batch: dict(zip(keys, run(batch), strict=True)), shape)


def _by_openvino(program: ExportedProgram, window: Tensor) -> Run:
    return openvino_cpu.compiled_program(program, window.shape)


def _by_onnx_runtime(program: ExportedProgram, window: Tensor) -> Run:
    onnx_runtime.onnxruntime()
    import onnxscript  # noqa: F401 - torch.onnx finds out too late that it is missing

    exported = torch.onnx.export(program, (window,), dynamo=True, verbose=False)
    graph = io.BytesIO()
    assert exported is not None  # noqa: S101 - dynamo gives a program
    exported.save(graph)  # type: ignore[arg-type]
    opened = onnx_runtime.session(graph.getvalue(), "cpu")
    return onnx_runtime.run_of(opened, [each.name for each in opened.get_outputs()])


def _check(found: dict[int, Tensor], expected: dict[int, Tensor]) -> None:
    if [each.shape for each in found.values()] != [each.shape for each in expected.values()]:
        raise NotTaken("its answers have other shapes there")
    if not any(values.numel() for values in expected.values()):
        raise NotTaken("it finds nothing in noise, so that its answers cannot be compared")
    for place, values in expected.items():
        if not values.numel():
            continue
        most = float((found[place].double() - values.double()).abs().max())
        spread = float(values.double().max() - values.double().min()) or 1.0
        if not most <= TOLERANCE * spread:
            raise NotTaken(f"its answers differ there by {most:.2g}, over a range of {spread:.2g}")


def _extra(wanted: str) -> str:
    return "dicom-ai-node[openvino]" if wanted == "openvino" else "dicom-ai-node[onnx] onnxscript"


def _failures() -> tuple[type[Exception], ...]:
    """What converters raise for what they do not know; torch's own are RuntimeErrors."""
    found: list[type[Exception]] = [RuntimeError, ValueError, TypeError, KeyError, AttributeError]
    found += [AssertionError, IndexError, NotImplementedError, ModelError]
    if importlib.util.find_spec("openvino") is not None:
        openvino_cpu.openvino()
        import openvino.frontend as frontend

        names = ["GeneralFailure", "InitializationFailure", "NotImplementedFailure"]
        names += ["OpConversionFailure", "OpValidationFailure"]
        found += [getattr(frontend, name) for name in names]
    return tuple(found)
