"""The network on its input: whole, by windows, or slice by slice."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import Tensor

from dicom_ai_node.config.network import Inference, Slices, SlidingWindow
from dicom_ai_node.errors import ModelError

# (batch, channels, *spatial) to one tensor, a tuple or a dict of them; whatever runs behind it
Network = Callable[[Tensor], Any]
Outputs = Mapping[int | str, Tensor]


def infer(network: Network, tensor: Tensor, how: Inference) -> Outputs:
    """The outputs for one input (channels, *spatial), each without its batch, on the CPU; numbers
    as float32.

    ModelError for an answer that is no tensor, or that holds what is not a number.
    """
    network = _halving(network)
    with torch.inference_mode():
        match how:
            case SlidingWindow():
                outputs = _windows(network, tensor, how)
            case Slices():
                outputs = _slices(network, tensor, how)
            case _:
                whole = named(network(tensor[None]))
                outputs = {key: _without_batch(_numbers(value)) for key, value in whole.items()}
    for value in outputs.values():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError("The network's answer holds something that is not a number.")
    return outputs


def named(answer: object) -> dict[int | str, Tensor]:
    """An answer's tensors by their places or keys; ModelError for anything else.

    A list of one mapping, as detectors answer to a batch of one, is that mapping.
    """
    if isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], Mapping):
        (answer,) = answer
    if isinstance(answer, Tensor):
        return {0: answer}
    if isinstance(answer, Mapping):
        by_key: dict[int | str, object] = dict(answer)
    elif isinstance(answer, (tuple, list)):
        by_key = dict(enumerate(answer))
    else:
        raise ModelError(f"The network answered with {type(answer).__name__}, which is no tensor.")
    tensors = {key: value for key, value in by_key.items() if isinstance(value, Tensor)}
    if len(tensors) != len(by_key):
        raise ModelError("The network answered with something else than tensors.")
    return tensors


def joined(answers: Sequence[object]) -> dict[int | str, Tensor]:
    """The answers for parts of a batch, as the answer for all of it."""
    parts = [named(answer) for answer in answers]
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def _windows(network: Network, tensor: Tensor, how: SlidingWindow) -> dict[int | str, Tensor]:
    if len(how.roi_size) != tensor.ndim - 1:
        raise ModelError(
            f"roi_size has {len(how.roi_size)} axes, and the input {tensor.ndim - 1}: "
            "change inference in model.yaml"
        )
    inferer = SlidingWindowInferer(
        roi_size=how.roi_size,
        sw_batch_size=how.batch,
        overlap=how.overlap,
        mode=how.blend,
        device=torch.device("cpu"),  # where answers are put together; `network` knows its own
    )

    def predictor(windows: Tensor) -> dict[int | str, Tensor]:
        return {key: _numbers(value) for key, value in named(network(windows)).items()}

    return {key: value[0] for key, value in named(inferer(tensor[None], predictor)).items()}


def _slices(network: Network, tensor: Tensor, how: Slices) -> dict[int | str, Tensor]:
    """Slices are the batch of a 2-D network; its answers are put together again."""
    if tensor.ndim != 4:
        raise ModelError("slices are of a volume: write another inference in model.yaml")
    planes = tensor.movedim(how.axis + 1, 0)
    batches: Sequence[Tensor] = planes.split(how.batch)  # type: ignore[no-untyped-call]
    found = [
        {key: _numbers(value) for key, value in named(network(part)).items()} for part in batches
    ]
    return {key: _put_together(value, how.axis) for key, value in joined(found).items()}


def _put_together(value: Tensor, axis: int) -> Tensor:
    """A number for each slice stays a row of numbers: (classes, slices)."""
    row = value[:, None] if value.ndim == 1 else value
    return row.movedim(0, min(axis + 1, row.ndim - 1))


def _halving(network: Network) -> Network:
    """From the first batch of this input that CUDA's memory does not hold, all run in halves; what
    does not fit then either is the caller's."""
    short = False

    def run(batch: Tensor) -> object:
        nonlocal short
        if not short:
            try:
                return network(batch)
            except torch.cuda.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                short = True
            torch.cuda.empty_cache()  # when the error, which holds the tensors, is gone
        size = (len(batch) + 1) // 2
        return joined([network(part) for part in batch.split(size)])  # type: ignore[no-untyped-call]

    return run


def _numbers(value: Tensor) -> Tensor:
    """Mixed precision ends with the network."""
    return value.to("cpu", torch.float32) if value.is_floating_point() else value.cpu()


def _without_batch(value: Tensor) -> Tensor:
    return value[0] if value.ndim and value.shape[0] == 1 else value
