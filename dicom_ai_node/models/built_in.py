"""Pipelines that are code of this node."""

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import BuiltInPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.models.torch_device import choose_device


def open_built_in(installed: InstalledModel, package: BuiltInPackage) -> Model:
    match package.pipeline:
        case "brain-mr":
            from dicom_ai_node.models.brain_mr import BrainMr

            if package.weights is None:
                raise ModelError(f"{package.name} needs weights: name them in model.yaml")
            weights = read_pinned(installed, package.weights.file)
            return BrainMr(package, weights, choose_device(package.device))
