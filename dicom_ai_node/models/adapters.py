"""From a package in the model store to a model that answers."""

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import (
    BuiltInPackage,
    CommandPackage,
    MonaiBundlePackage,
    OnnxPackage,
    PythonPackage,
    ThresholdPackage,
    TorchExportPackage,
    TorchPackage,
)
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.gate import GatedModel
from dicom_ai_node.models.likeness import known_images
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.models.threshold import Threshold


def open_model(installed: InstalledModel) -> Model:
    """Load the weights, once.

    ModelChanged where a file is not the one that was installed; ModelError where it cannot be used,
    or brings code that nobody has trusted.
    """
    if installed.needs_trust:
        raise ModelError(installed.needs_trust)
    return GatedModel(_adapter(installed), installed.package, known_images(installed))


def _adapter(installed: InstalledModel) -> Model:
    """Imports stand in the cases: torch takes seconds and hundreds of megabytes."""
    match installed.package:
        case ThresholdPackage() as package:
            return Threshold(package)
        case BuiltInPackage() as package:
            from dicom_ai_node.models.built_in.open import open_built_in

            return open_built_in(installed, package)
        case TorchPackage() as package:
            from dicom_ai_node.models.formats.torch_network import open_torch

            return open_torch(installed, package)
        case TorchExportPackage() as package:
            from dicom_ai_node.models.formats.torch_export_network import open_torch_export

            return open_torch_export(installed, package)
        case OnnxPackage() as package:
            from dicom_ai_node.models.formats.onnx_network import open_onnx

            return open_onnx(installed, package)
        case MonaiBundlePackage() as package:
            from dicom_ai_node.models.bundle.monai_bundle import open_monai_bundle

            return open_monai_bundle(installed, package)
        case CommandPackage() as package:
            from dicom_ai_node.models.program.command import open_command

            return open_command(installed, package)
        case PythonPackage() as package:
            from dicom_ai_node.models.formats.python_model import open_python

            return open_python(installed, package)
