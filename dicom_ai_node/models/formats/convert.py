"""Weights that may hold code, into ones that hold none: .safetensors, or .pt2 of torch.export."""

import logging
import os
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.export import Dim, ExportedProgram, export
from torch.export import save as save_program

from dicom_ai_node.errors import ConfigError, ModelError
from dicom_ai_node.models.apart import apart
from dicom_ai_node.models.installation.pickles import is_torchscript

WEIGHTS, PROGRAM = ".safetensors", ".pt2"
TOLERANCE = 1e-5  # between the converted network's answer and the original's
_SEED = 0
_MOST_AT_ONCE = 1024  # windows or slices in a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """`shape` is of the network's input, its batch first; needed for .pt2 alone."""

    source: Path
    target: Path
    shape: tuple[int, ...] | None


def convert(
    source: Path,
    target: Path,
    shape: tuple[int, ...] | None,
    *,
    timeout_s: float,
    memory_mb: int,
) -> str:
    """What was written, in a sentence. TorchScript is run in a process of its own without network.

    `shape`: of the network's input, its batch first; for .pt2. ConfigError where the arguments do
    not fit, ModelError where the file is not one of the two kinds, or its code fails.
    """
    if target.suffix not in (WEIGHTS, PROGRAM):
        raise ConfigError(f"{target.name} ends neither with {WEIGHTS} nor with {PROGRAM}")
    if target.suffix == PROGRAM and shape is None:
        raise ConfigError("for a .pt2 say what goes in: --input-shape 1,1,96,96,96, say")
    if not target.parent.is_dir():
        raise ConfigError(
            f"there is no folder {target.parent}: make it, or write elsewhere (--out)"
        )
    if not source.is_file():
        raise ConfigError(f"{source} is no file: give what torch.save or torch.jit.save wrote")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as scratch:
        task = Conversion(
            source=source.absolute(), target=(Path(scratch) / target.name).absolute(), shape=shape
        )
        try:
            said = apart(convert_here, task, timeout_s=timeout_s, memory_mb=memory_mb)
        except ModelError as error:
            raise ModelError(f"{source.name} was not converted: {error}") from None
        if task.target.is_symlink() or not task.target.is_file():
            raise ModelError(f"{source.name} was not converted: its process left no file")
        with task.target.open("rb") as file:
            os.fsync(file.fileno())
        task.target.replace(target)
    return said


def convert_here(task: Conversion) -> str:
    """In this process, which must not be one that matters: code of the file runs."""
    if not is_torchscript(task.source):
        return _of_state(task)
    logging.getLogger("torch").setLevel(logging.ERROR)
    # torch speaks of the end of TorchScript, which is why people come here, and of fixed sizes
    with warnings.catch_warnings(action="ignore"):
        return _of_torchscript(task)


def _of_torchscript(task: Conversion) -> str:
    torch.manual_seed(_SEED)
    network = torch.jit.load(task.source, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    if task.target.suffix == WEIGHTS:
        return _write_state(dict(network.state_dict()), task.target)
    return _program(network, task)


def _of_state(task: Conversion) -> str:
    if task.target.suffix == PROGRAM:
        raise ModelError(
            f"it holds weights and no network: convert it to {WEIGHTS}, and name the network in "
            "model.yaml (kind: torch)"
        )
    if zipfile.is_zipfile(task.source):
        with zipfile.ZipFile(task.source) as archive:
            if any(name.endswith("/models/") or "/models/" in name for name in archive.namelist()):
                raise ModelError("it is a program of torch.export already (kind: torch_export)")
    from dicom_ai_node.models.formats.torch_network import read_state  # MONAI takes seconds

    return _write_state(dict(read_state(task.source.read_bytes())), task.target)


def _write_state(state: dict[str, Tensor], target: Path) -> str:
    """Each tensor by itself: safetensors knows no shared memory."""
    save_file({name: value.detach().clone().contiguous() for name, value in state.items()}, target)
    numbers = sum(value.numel() for value in state.values())
    return f"{len(state)} tensors, {numbers:,} numbers"


def _program(network: Any, task: Conversion) -> str:
    """torch.export takes no TorchScript; what torch has for it makes a graph with fixed sizes, and
    that is exported once more for batches of any size, where the network allows it."""
    from torch._export.converter import TS2EPConverter  # torch's own messages send one here

    assert task.shape is not None  # noqa: S101 - convert() has looked
    example = torch.rand(max(2, task.shape[0]), *task.shape[1:])
    one = torch.rand(task.shape)
    fixed = TS2EPConverter(network, (example,)).convert()
    try:
        batch = Dim("batch", min=1, max=_MOST_AT_ONCE)
        program = export(fixed.module(), (example,), dynamic_shapes=({0: batch},))
        sizes, tried = "batches of any size", [one, example]
    except Exception:  # noqa: BLE001 - whatever torch says, the network does not allow it
        program = TS2EPConverter(network, (one,)).convert()
        sizes, tried = f"batches of {task.shape[0]}", [one]
    off = max(_difference(network, program, given) for given in tried)
    if not off <= TOLERANCE:
        raise ModelError(f"the converted network's answer differs by {off:g} from the original's")
    save_program(program, task.target)
    return f"a program for {sizes}, whose answers differ by at most {off:.1g}"


def _difference(network: Any, program: ExportedProgram, given: Tensor) -> float:
    """The largest, over all outputs."""
    with torch.no_grad():
        before, after = _tensors(network(given)), _tensors(program.module()(given))
    if [each.shape for each in before] != [each.shape for each in after]:
        raise ModelError("the converted network's answer has another shape than the original's")
    return max(float((x - y).abs().max()) for x, y in zip(before, after, strict=True))


def _tensors(answer: Any) -> list[Tensor]:
    if isinstance(answer, Tensor):
        return [answer]
    values = answer.values() if isinstance(answer, dict) else answer
    return [tensor for value in values for tensor in _tensors(value)]
