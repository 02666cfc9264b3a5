"""Packages of networks and their inputs: an oblique volume, and images, with marks in them."""

from collections.abc import Callable
from typing import Any

import highdicom as hd
import numpy as np
import torch
from pydicom import Dataset
from torch import Tensor, nn

from dicom_ai_node.config.kinds import TorchPackage
from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.models.gate import GatedModel
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.result import MapKind, Result

SHAPE = (16, 12, 20)
SPACING = np.array([1.5, 2.0, 3.0])
ORIGIN = np.array([-31.0, 17.0, 140.0])
NODULE = "SCT:27925004:Nodule"
PNEUMONIA = "SCT:233604007:Pneumonia"
EFFUSION = "SCT:60046008:Pleural effusion"


def rotation() -> np.ndarray:
    """About all three axes, by different angles."""
    turns = []
    for (i, j), angle in zip(((0, 1), (0, 2), (1, 2)), (0.3, -0.2, 0.15), strict=True):
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        turns.append(turn)
    return turns[0] @ turns[1] @ turns[2]


def affine() -> np.ndarray:
    """Voxel indices to LPS, mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation() * SPACING
    matrix[:3, 3] = ORIGIN
    return matrix


def patient(index: Any) -> np.ndarray:
    """LPS, mm."""
    return affine()[:3, :3] @ np.asarray(index, float) + ORIGIN


def volume_input(array: np.ndarray | None = None, *maps: MapKind) -> ModelInput:
    array = np.zeros(SHAPE) if array is None else array
    volume = hd.Volume(
        array.astype(np.float32), affine(), "PATIENT", frame_of_reference_uid="1.2.3"
    )
    return ModelInput(headers=[_header()], volume=volume, maps=frozenset(maps))


def images_input(
    *arrays: np.ndarray, spacing: tuple[float, float] | None = (0.5, 0.25)
) -> ModelInput:
    """Their SOP Instance UIDs are 1.2.1, 1.2.2 and so on."""
    images = tuple(
        ProjectionImage(
            array=array.astype(np.float32), sop_instance_uid=f"1.2.{n}", pixel_spacing=spacing
        )
        for n, array in enumerate(arrays, 1)
    )
    return ModelInput(headers=[_header() for _ in images], images=images)


def package(*outputs: dict[str, Any], **changes: Any) -> TorchPackage:
    fields: dict[str, Any] = {
        "name": "net", "version": "1", "title": "Network", "kind": "torch",
        "network": {"name": "UNet"}, "weights": {"file": "weights.safetensors"},
        "outputs": outputs,
    }  # fmt: skip
    return TorchPackage.model_validate(fields | changes)


def entry(channel: int = 0, **changes: Any) -> dict[str, Any]:
    return {"channel": channel, "label": f"Class {channel}", "finding": NODULE} | changes


class Says(nn.Module):
    """Answers to every input what `answer` makes of it."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, batch: Tensor) -> Any:
        return self.answer(batch)


def predict(
    package: TorchPackage, network: Callable[[Tensor], Any], data: ModelInput, **more: Any
) -> Result:
    """Through the gate, as the node asks."""
    model = NetworkModel(package, network, **more)
    return GatedModel(model, package).predict(data)


def constant(*numbers: float) -> Callable[[Tensor], Tensor]:
    return lambda batch: torch.tensor([numbers])


def _header() -> Dataset:
    ds = Dataset()
    ds.Modality = "CT"
    return ds
