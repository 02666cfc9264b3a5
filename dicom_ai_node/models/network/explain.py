"""What an answer was drawn from, as a map: Grad-CAM, or what covering parts of the input costs.

Grad-CAM is written out here because MONAI's leaves its hooks in the network, with the activations
and gradients that they keep; this network stays open for the next study.
"""

import math

import torch
from monai.visualize.occlusion_sensitivity import OcclusionSensitivity
from monai.visualize.visualizer import default_upsampler
from torch import Tensor, nn

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.config.outputs import ClassificationOutput, DetectionOutput
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.network.classification import activated
from dicom_ai_node.models.network.infer import Network, Outputs, infer
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
        self._module = module
        self._saliency = package.saliency
        layer = None if package.saliency is None else package.saliency.layer
        if module is not None and layer and layer not in dict(module.named_modules()):
            raise ModelError(f"saliency: {package.name} has no layer {layer}")

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
        scored = _Scored(self._network, self._package, output, channel)
        size = [math.ceil(extent / blocks) for extent in tensor.shape[1:]]
        covering = OcclusionSensitivity(
            scored, mask_size=size, n_batch=1, verbose=False, mode="mean_img", overlap=0.5,
            activate=False,
        )  # fmt: skip
        with torch.inference_mode():
            plain = scored(tensor[None])[0, 0]
            covered, _ = covering(tensor[None])
        fallen: Tensor = plain - torch.as_tensor(covered)[0, 0]
        return fallen


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
            batch = tensor[None].to(device).detach().clone().requires_grad_()
            score = _score(module(batch), output, channel)
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


class _Scored(nn.Module):
    """The network as a classifier of one class: (1, channels, *spatial) to its probability."""

    def __init__(
        self, network: Network, package: NetworkPackage, output: Explained, channel: int
    ) -> None:
        super().__init__()
        self._network = network
        self._package = package
        self._output = output
        self._channel = channel

    def forward(self, batch: Tensor) -> Tensor:
        outputs = infer(self._network, batch[0], self._package.inference)
        return self._probability(outputs).reshape(1, 1).cpu()

    def _probability(self, outputs: Outputs) -> Tensor:
        output, name = self._output, self._package.name
        if isinstance(output, ClassificationOutput):
            slope, intercept = output.calibration
            logits = outputs[output.output].reshape(-1) * slope + intercept
            return activated(logits, output.activation, name)[self._channel]
        if output.form == "heatmap":
            return activated(outputs[output.output], output.activation, name)[self._channel].max()
        of_class = outputs[output.labels].reshape(-1) == self._channel
        scores = activated(outputs[output.scores].reshape(-1), output.activation, name)
        return scores[of_class].max() if of_class.any() else scores.new_zeros(())


def _score(answer: object, output: Explained, channel: int) -> Tensor:
    """One number of the network's raw answer, with its gradient."""
    if isinstance(output, DetectionOutput) and output.form == "boxes":
        of_class = _at(answer, output.labels).reshape(-1) == channel
        return _at(answer, output.scores).reshape(-1)[of_class].max()
    raw = _at(answer, output.output)
    return raw[0, channel].max()


def _at(answer: object, key: int | str) -> Tensor:
    raw: Tensor = answer if isinstance(answer, Tensor) else answer[key]  # type: ignore[index]
    return raw


def _from_0_to_1(field: Tensor) -> Tensor:
    field = field.clamp(min=0)
    highest = field.max()
    return field / highest if highest > 0 else field
