"""A network with its package: prepare, infer, read the outputs."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.config.outputs import (
    AnyOutput,
    ClassificationOutput,
    DetectionOutput,
    NumbersOutput,
    RegressionOutput,
    SegmentationOutput,
)
from dicom_ai_node.errors import InputError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.network.classification import classification, combined, probabilities
from dicom_ai_node.models.network.detection import detection
from dicom_ai_node.models.network.explain import Explainer
from dicom_ai_node.models.network.infer import Network
from dicom_ai_node.models.network.part import Part, result_of
from dicom_ai_node.models.network.prepare import Prepared, prepared, prepared_image
from dicom_ai_node.models.network.regression import channels, regression
from dicom_ai_node.models.network.seen import Seen, look
from dicom_ai_node.models.network.segmentation import segmentation
from dicom_ai_node.models.network.steps import transforms_of
from dicom_ai_node.models.network.uncertainty import doubted
from dicom_ai_node.result import MapKind, Result


class NetworkModel:
    """A `Model`: `network` is whatever runs it (torch, ONNX Runtime, OpenVINO).

    `module` is the same network where it is torch's own, for maps that need its gradients.
    """

    def __init__(
        self, package: NetworkPackage, network: Network, module: nn.Module | None = None
    ) -> None:
        self._package = package
        self._network = network
        self._transforms = transforms_of(package.preprocess)
        self._explainer = Explainer(package, network, module)
        self._combined = [
            output
            for output in package.outputs
            if isinstance(output, NumbersOutput) and output.combine and package.input == "images"
        ]

    def predict(self, data: ModelInput) -> Result:
        """One image that cannot be believed leaves out itself; if all are, the input is refused."""
        parts: list[Part] = []
        refusals: list[InputError] = []
        numbers: dict[int, list[Tensor]] = {}
        images = 0
        for grid in self._grids(data):
            images += 1
            seen = look(self._network, grid, self._package, often=self._often(data))
            try:
                parts += self._parts(seen, data)
            except InputError as error:
                refusals.append(error)
                continue
            for place, output in enumerate(self._combined):
                numbers.setdefault(place, []).append(_numbers(seen, output))
        if not images:
            raise InputError("This model needs single images, and was given none.")
        if len(refusals) == images:
            raise refusals[0]
        parts += self._combinations(numbers)
        refusal = f"{len(refusals)} of {images} images: {refusals[0]}" if refusals else None
        return result_of(parts, self._package.title, refusal)

    def _often(self, data: ModelInput) -> bool:
        """The answer itself is the same in any case."""
        limits = any(output.abstain_above for output in self._package.outputs)
        return limits or MapKind.UNCERTAINTY in data.maps

    def _grids(self, data: ModelInput) -> Iterator[Prepared]:
        if self._package.input == "images":
            for image in data.images:
                yield prepared_image(image, self._transforms)
        else:
            yield prepared(data, self._package.inputs, self._transforms)

    def _parts(self, seen: Seen, data: ModelInput) -> list[Part]:
        return [
            self._part(output, seen, data)
            for output in self._package.outputs
            if output not in self._combined
        ]

    def _part(self, output: AnyOutput, seen: Seen, data: ModelInput) -> Part:
        image = None if seen.grid.image is None else seen.grid.image.sop_instance_uid
        match output:
            case SegmentationOutput():
                part = segmentation(seen.raw(output.output), output, seen.grid, data, self._package)
                return doubted(part, seen, output, data)
            case ClassificationOutput():
                values = combined(probabilities(seen, output), output)
                part = classification(values, output, image)
                return part.with_maps(self._explainer.maps(part, output, seen.grid, data))
            case DetectionOutput():
                part = detection(seen, output)
                return part.with_maps(self._explainer.maps(part, output, seen.grid, data))
            case RegressionOutput():
                values = combined(channels(seen, output), output)
                return regression(values, output, self._package.name, image)

    def _combinations(self, numbers: Mapping[int, list[Tensor]]) -> list[Part]:
        """One answer for all images; InputError where that cannot be believed."""
        parts: list[Part] = []
        for place, of_images in numbers.items():
            output = self._combined[place]
            values = combined(torch.cat(of_images, dim=-1), output)
            if isinstance(output, ClassificationOutput):
                parts.append(classification(values, output, None))
            elif isinstance(output, RegressionOutput):
                parts.append(regression(values, output, self._package.name, None))
        return parts


def _numbers(seen: Seen, output: NumbersOutput) -> Tensor:
    if isinstance(output, ClassificationOutput):
        return probabilities(seen, output)
    return channels(seen, output)  # type: ignore[arg-type]
