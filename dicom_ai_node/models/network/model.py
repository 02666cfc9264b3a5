"""A network with its package: prepare, infer, read the outputs."""

from torch import Tensor

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.config.outputs import AnyOutput, SegmentationOutput
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.network.infer import Network, Outputs, infer
from dicom_ai_node.models.network.part import Part, result_of
from dicom_ai_node.models.network.prepare import Prepared, prepared, prepared_image
from dicom_ai_node.models.network.segmentation import segmentation
from dicom_ai_node.models.network.steps import transforms_of
from dicom_ai_node.result import Result


class NetworkModel:
    """A `Model`: `network` is whatever runs it (torch, ONNX Runtime, OpenVINO)."""

    def __init__(self, package: NetworkPackage, network: Network) -> None:
        self._package = package
        self._network = network
        self._transforms = transforms_of(package.preprocess)

    def predict(self, data: ModelInput) -> Result:
        parts: list[Part] = []
        for grid in self._grids(data):
            outputs = infer(self._network, grid.tensor, self._package.inference)
            parts += [self._part(each, outputs, grid, data) for each in self._package.outputs]
        return result_of(parts, self._package.title)

    def _grids(self, data: ModelInput) -> list[Prepared]:
        if self._package.input == "images":
            return [prepared_image(image, self._transforms) for image in data.images]
        return [prepared(data, self._package.inputs, self._transforms)]

    def _part(self, output: AnyOutput, outputs: Outputs, grid: Prepared, data: ModelInput) -> Part:
        raw = self._of(outputs, output.output)
        match output:
            case SegmentationOutput():
                return segmentation(raw, output, grid, data, self._package)
            case _:
                raise NotImplementedError(output.task)

    def _of(self, outputs: Outputs, key: int | str) -> Tensor:
        if key not in outputs:
            there = ", ".join(map(str, outputs))
            raise ModelError(f"{self._package.name} has no output {key} (there: {there}).")
        return outputs[key]
