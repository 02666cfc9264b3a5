"""Runtimes that take one shape, behind the callable that takes batches."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.network.infer import Network, joined

Shape = tuple[int | None, ...]  # (batch, channels, *spatial); None where any size will do


def fitted(run: Callable[[Tensor], object], takes: Shape) -> Network:
    """One at a time where `run` takes a batch of one.

    Raises ModelError, which names both shapes, for an input that it does not take.
    """

    def network(batch: Tensor) -> object:
        parts: Sequence[Tensor] = [batch]
        if takes[0] is not None and len(batch) != takes[0]:
            parts = batch.split(takes[0])  # type: ignore[no-untyped-call]
        for part in parts:
            if not _fits(part.shape, takes):
                raise ModelError(
                    f"the network takes {_said(takes)}, and was given {_said(tuple(part.shape))}: "
                    "change preprocess or inference in model.yaml"
                )
        return run(batch) if len(parts) == 1 else joined([run(part) for part in parts])

    return network


def _fits(shape: torch.Size, takes: Shape) -> bool:
    return len(shape) == len(takes) and all(
        size is None or size == given for size, given in zip(takes, shape, strict=True)
    )


def _said(shape: Shape) -> str:
    return " × ".join("any" if size is None else str(size) for size in shape)
