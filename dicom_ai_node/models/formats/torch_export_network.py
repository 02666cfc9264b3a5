"""A program of torch.export (.pt2)."""

import io

import torch
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import TorchExportPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.backends.choose import on_backend
from dicom_ai_node.models.backends.fitted import Shape, fitted
from dicom_ai_node.models.formats.pt2_archive import harmless
from dicom_ai_node.models.formats.torch_device import choose_device
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.protocol import Model


def open_torch_export(installed: InstalledModel, package: TorchExportPackage) -> Model:
    content = read_pinned(installed, package.program.file)
    program = read_program(content, trusted=installed.trusted)
    takes = input_shape(program)
    device = choose_device(package.device)
    if device.type != "cpu":
        program = move_to_device_pass(program, device)
    network = on_backend(program.module(), package, device, program)
    return NetworkModel(package, fitted(network, takes))


def read_program(content: bytes, *, trusted: bool = False) -> ExportedProgram:
    """Nothing that the archive holds is run, unless it is trusted."""
    source = io.BytesIO(content) if trusted else harmless(content)
    try:
        return torch.export.load(source)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
        raise ModelError(
            f"the program cannot be loaded by torch {torch.__version__} ({type(error).__name__}): "
            "export it again with this version"
        ) from None


def input_shape(program: ExportedProgram) -> Shape:
    """What the one input may be; ModelError where there are several."""
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes}
    if len(names) != 1 or not isinstance(names[0], str):
        raise ModelError(f"the program takes {len(names)} inputs: export one that takes one tensor")
    shape = nodes[names[0]].meta["val"].shape
    return tuple(size if isinstance(size, int) else None for size in shape)
