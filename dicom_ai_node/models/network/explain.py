"""What an answer was drawn from, as a map: Grad-CAM, or what covering parts of the input costs.

Both are written out here: MONAI's Grad-CAM leaves its hooks in the network, with the activations
and gradients that they keep, and this network stays open for the next study; its occlusion indexes
with lists, which torch 2.9 reads as something else.
"""

import math
from collections.abc import Iterator
from itertools import product

import torch
from monai.visualize.visualizer import default_upsampler
from torch import Tensor, nn

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.config.outputs import ClassificationOutput, DetectionOutput
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.network.classification import activated
from dicom_ai_node.models.network.infer import Network, infer, named
from dicom_ai_node.models.network.part import Part
from dicom_ai_node.models.network.prepare import Prepared
from dicom_ai_node.result import MapKind, ResultMap

Explained = ClassificationOutput | DetectionOutput


class Explainer:
    """`module` is the network where it is torch's; without it Grad-CAM gives way to covering."""

    def __init__(self, package: NetworkPackage, network: Network, module: nn.Module | None) -> None:
        """ModelError for a layer that the network has not."""
        self._package = package
        self._network = network
        self._saliency = package.saliency
        layer = None if package.saliency is None else package.saliency.layer
        if module is not None and layer and layer not in dict(module.named_modules()):
            raise ModelError(f"saliency: {package.name} has no layer {layer}")
        self._module = module if layer else None  # its weights are not kept twice for nothing

    def maps(
        self, part: Part, output: Explained, grid: Prepared, data: ModelInput
    ) -> tuple[ResultMap, ...]:
        """One for each class that was found, 0 to 1 on the source's grid, where they are asked for.

        None where the package does not say how, for single images, and unless the network gets its
        input at once.
        """
        saliency = self._saliency
        if MapKind.SALIENCY not in data.maps or saliency is None:
            return ()
        if grid.image is not None or self._package.inference.kind != "whole":
            return ()
        volume = data.needed_volume()
        labels = {finding.tracking_identifier for finding in part.findings}
        maps: list[ResultMap] = []
        for entry in output.classes:
            if entry.label not in labels:
                continue
            if self._module is not None and saliency.layer:
                field = grad_cam(self._module, saliency.layer, grid.tensor, output, entry.channel)
            else:
                field = self._occlusion(saliency.blocks, grid.tensor, output, entry.channel)
            array = grid.restored(_from_0_to_1(field)[None], nearest=False)[0].clip(0, 1)
            maps.append(
                ResultMap(kind=MapKind.SALIENCY, label=entry.label, volume=volume.with_array(array))
            )
        return tuple(maps)

    def _occlusion(self, blocks: int, tensor: Tensor, output: Explained, channel: int) -> Tensor:
        """(*spatial): by how much the probability falls where the mean covers the input."""
        plain = self._probability(tensor, output, channel)
        mean = tensor.mean(dim=tuple(range(1, tensor.ndim)), keepdim=True)
        fallen, times = torch.zeros(tensor.shape[1:]), torch.zeros(tensor.shape[1:])
        for block in _blocks(tuple(tensor.shape[1:]), blocks):
            covered = tensor.clone()
            covered[(slice(None), *block)] = mean
            fallen[block] += plain - self._probability(covered, output, channel)
            times[block] += 1
        return fallen / times

    def _probability(self, tensor: Tensor, output: Explained, channel: int) -> float:
        """Of the class, wherever it is."""
        outputs = infer(self._network, tensor, self._package.inference)
        name = self._package.name
        if isinstance(output, ClassificationOutput):
            slope, intercept = output.calibration
            logits = outputs[output.output].reshape(-1) * slope + intercept
            return float(activated(logits, output.activation, name)[channel])
        if output.form == "heatmap":
            return float(activated(outputs[output.output], output.activation, name)[channel].max())
        of_class = outputs[output.labels].reshape(-1) == channel
        scores = activated(outputs[output.scores].reshape(-1), output.activation, name)[of_class]
        return float(scores.max()) if len(scores) else 0.0


def _blocks(shape: tuple[int, ...], blocks: int) -> Iterator[tuple[slice, ...]]:
    """All over the grid, each overlapping the next by a half; the last end with the grid."""
    starts: list[list[slice]] = []
    for extent in shape:
        size = math.ceil(extent / blocks)
        firsts = {*range(0, extent - size, max(1, size // 2)), extent - size}
        starts.append([slice(first, first + size) for first in sorted(firsts)])
    yield from product(*starts)


def grad_cam(
    module: nn.Module, layer: str, tensor: Tensor, output: Explained, channel: int
) -> Tensor:
    """(*spatial) on the network's grid, 0 or more, of the number before `activation`."""
    held: list[object] = []
    hook = module.get_submodule(layer).register_forward_hook(lambda _m, _i, out: held.append(out))
    parameter = next(module.parameters(), None)
    device = tensor.device if parameter is None else parameter.device
    try:
        with torch.enable_grad():
            batch = tensor[None].to(device).detach().requires_grad_()
            # a copy: a network may begin in place, which a leaf of the graph does not bear
            score = _score(module(batch.clone()), output, channel)
            activation = held[-1] if held else None
            if not isinstance(activation, Tensor) or activation.ndim != batch.ndim:
                raise ModelError(f"saliency: the layer {layer} has no values with a place")
            (gradient,) = torch.autograd.grad(score, activation, allow_unused=True)
    finally:
        hook.remove()
    if gradient is None:
        raise ModelError(f"saliency: the answer does not come from the layer {layer}")
    weights = gradient.mean(dim=tuple(range(2, gradient.ndim)), keepdim=True)
    field = (weights * activation.detach()).sum(1, keepdim=True).relu()
    upsampled: Tensor = default_upsampler(tensor.shape[1:])(field)
    return upsampled[0, 0].detach().cpu()


def _score(answer: object, output: Explained, channel: int) -> Tensor:
    """One number of the network's raw answer, with its gradient."""
    answers = named(answer)
    if isinstance(output, DetectionOutput) and output.form == "boxes":
        of_class = answers[output.labels].reshape(-1) == channel
        return answers[output.scores].reshape(-1)[of_class].max()
    return answers[output.output][0, channel].max()


def _from_0_to_1(field: Tensor) -> Tensor:
    field = field.clamp(min=0)
    highest = field.max()
    return field / highest if highest > 0 else field
