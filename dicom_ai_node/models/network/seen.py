"""What a network said of one input: as it is, and flipped, where its doubt is asked for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.network.infer import Network, Outputs, infer
from dicom_ai_node.models.network.prepare import Prepared

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`answers` are to the input flipped along each of `flips`; the first is () and counts alone,
    all others only tell how much the answer wavers."""

    grid: Prepared
    flips: tuple[Axes, ...]
    answers: tuple[Outputs, ...]
    name: str  # of the package
    title: str
    by_slices: bool  # so that an answer without a place is one for each slice

    def raw(self, key: int | str, answer: int = 0) -> Tensor:
        """On the CPU; ModelError where the network has no such output."""
        outputs = self.answers[answer]
        if key not in outputs:
            there = ", ".join(map(str, outputs))
            raise ModelError(f"{self.name} has no output {key} (there: {there}).")
        return outputs[key].detach().cpu()

    def numbers(self, key: int | str) -> Tensor:
        """(answers, channels, slices), float32, of one slice unless the network goes by slices.

        ModelError where an answer has more than that.
        """
        found = [self.raw(key, answer).float() for answer in range(len(self.answers))]
        shape = tuple(found[0].shape)
        if self.by_slices and len(shape) == 2:
            return torch.stack(found)
        if found[0].numel() != (shape[0] if shape else 1):
            text = f"{self.name} gave the shape {shape} where one number per channel was due."
            raise ModelError(text)
        return torch.stack([value.reshape(-1, 1) for value in found])

    def fields(self, key: int | str) -> list[Tensor]:
        """Each answer (channels, *spatial), turned back to lie on the grid.

        ModelError for another shape than the grid's.
        """
        spatial = tuple(self.grid.tensor.shape[1:])
        found = [self.raw(key, answer).float() for answer in range(len(self.answers))]
        for value in found:
            if tuple(value.shape[1:]) != spatial:
                shape = tuple(value.shape)
                text = f"{self.name} gave the shape {shape} where channels × {spatial} was due."
                raise ModelError(text)
        return [_flipped(value, flip) for value, flip in zip(found, self.flips, strict=True)]


def look(network: Network, grid: Prepared, package: NetworkPackage, *, often: bool) -> Seen:
    """Ask once, or `often`: with the flips of the package too."""
    flips: tuple[Axes, ...] = ((), *package.augment) if often else ((),)
    axes = grid.tensor.ndim - 1
    if any(axis >= axes for flip in flips for axis in flip):
        raise ModelError(f"{package.name}: augment flips an axis that its input has not.")
    return Seen(
        grid=grid,
        flips=flips,
        answers=tuple(
            infer(network, _flipped(grid.tensor, flip), package.inference) for flip in flips
        ),
        name=package.name,
        title=package.title,
        by_slices=package.inference.kind == "slices",
    )


def _flipped(value: Tensor, flip: Axes) -> Tensor:
    return value.flip([axis + 1 for axis in flip]) if flip else value
