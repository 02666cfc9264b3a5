"""The network on its input: whole, by windows, or slice by slice."""

from collections.abc import Callable, Mapping
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
    """The outputs for one input (channels, *spatial), each without its batch, as float32.

    ModelError for an answer that is no tensor, or that holds what is not a number.
    """
    with torch.inference_mode():
        match how:
            case SlidingWindow():
                outputs = _windows(network, tensor, how)
            case Slices():
                outputs = _slices(network, tensor, how)
            case _:
                whole = _named(network(tensor[None]))
                outputs = {key: _without_batch(value) for key, value in whole.items()}
    for value in outputs.values():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError("The network's answer holds something that is not a number.")
    return outputs


def _windows(network: Network, tensor: Tensor, how: SlidingWindow) -> dict[int | str, Tensor]:
    inferer = SlidingWindowInferer(
        roi_size=how.roi_size, sw_batch_size=how.batch, overlap=how.overlap, mode=how.blend
    )
    return {key: value[0] for key, value in _named(inferer(tensor[None], network)).items()}


def _slices(network: Network, tensor: Tensor, how: Slices) -> dict[int | str, Tensor]:
    """Slices are the batch of a 2-D network; its answers are put together again."""
    planes = tensor.movedim(how.axis + 1, 0)
    found = [_named(network(part)) for part in planes.split(how.batch)]  # type: ignore[no-untyped-call]
    return {
        key: torch.cat([each[key] for each in found]).movedim(0, how.axis + 1) for key in found[0]
    }


def _named(answer: object) -> dict[int | str, Tensor]:
    if isinstance(answer, Tensor):
        return {0: answer}
    if isinstance(answer, Mapping):
        named: dict[int | str, object] = dict(answer)
    elif isinstance(answer, (tuple, list)):
        named = dict(enumerate(answer))
    else:
        raise ModelError(f"The network answered with {type(answer).__name__}, which is no tensor.")
    tensors = {key: value for key, value in named.items() if isinstance(value, Tensor)}
    if len(tensors) != len(named):
        raise ModelError("The network answered with something else than tensors.")
    return tensors


def _without_batch(value: Tensor) -> Tensor:
    return value[0] if value.ndim and value.shape[0] == 1 else value
