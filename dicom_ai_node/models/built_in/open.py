"""Pipelines that are code of this node."""

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import BuiltInPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.protocol import Model


def open_built_in(installed: InstalledModel, package: BuiltInPackage) -> Model:
    match package.pipeline:
        case "brain-mr":
            from dicom_ai_node.models.built_in.brain_mr import BrainMr
            from dicom_ai_node.models.formats.torch_device import choose_device

            return BrainMr(package, _weights(installed, package), choose_device(package.device))
        case "lung-ct":
            from dicom_ai_node.models.built_in.lung_ct import LungCt

            return LungCt(package)
        case "lung-cxr":
            from dicom_ai_node.models.built_in.lung_cxr import LungCxr
            from dicom_ai_node.models.formats.torch_device import choose_device

            return LungCxr(package, _weights(installed, package), choose_device(package.device))


def _weights(installed: InstalledModel, package: BuiltInPackage) -> bytes:
    if package.weights is None:
        raise ModelError(f"{package.name} needs weights: name them in model.yaml")
    return read_pinned(installed, package.weights.file)
