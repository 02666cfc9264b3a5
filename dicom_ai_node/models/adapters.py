"""From a package in the model store to a model that answers."""

from dicom_ai_node.config.package import InstalledModel, ThresholdPackage, TorchPackage
from dicom_ai_node.models.gate import GatedModel
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.models.threshold import Threshold


def open_model(installed: InstalledModel) -> Model:
    """Load the weights, once; raises ModelError when they are not those that model.yaml names."""
    return GatedModel(_adapter(installed), installed.package)


def _adapter(installed: InstalledModel) -> Model:
    match installed.package:
        case ThresholdPackage() as package:
            return Threshold(package)
        case TorchPackage() as package:
            # torch takes seconds and hundreds of megabytes, which other kinds need not pay
            from dicom_ai_node.models.brain_mr import BrainMr
            from dicom_ai_node.models.torch_device import choose_device
            from dicom_ai_node.models.weights import read_weights

            device = choose_device(package.device)
            return BrainMr(package, read_weights(installed.folder, package.weights), device)
