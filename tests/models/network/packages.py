"""Small packages of networks, written into a folder and installed from there."""

import json
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets.unet import UNet
from torch import nn

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.models.installation.install import install_folder

NETWORK: dict[str, Any] = {
    "name": "UNet",
    "arguments": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8],
        "strides": [2], "num_res_units": 1,
    },
}  # fmt: skip
SEGMENT = {
    "number": 1, "label": "Blob", "category": "SCT:123037004:Anatomical Structure",
    "type": "SCT:12738006:Brain",
}  # fmt: skip
ARGMAX = {"task": "segmentation", "postprocess": [{"name": "AsDiscrete", "argmax": True}]}
WINDOWS = {"kind": "sliding_window", "roi_size": [8, 8, 8]}


def network() -> nn.Module:
    torch.manual_seed(0)
    return UNet(**NETWORK["arguments"]).eval()


def installed(folder: Path, kind: str, files: dict[str, bytes], **fields: Any) -> InstalledModel:
    """A segmentation by windows of 8³, on the CPU by torch, unless `fields` say otherwise."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    description = {
        "name": "small", "version": "1", "title": "A small network", "kind": kind, "device": "cpu",
        "backend": "torch", "inference": WINDOWS, "outputs": [ARGMAX], "segments": [SEGMENT],
    } | fields  # fmt: skip
    (source / "model.yaml").write_text(json.dumps(description))
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    return install_folder(source, folder / "store")


def torch_package(folder: Path, weights: bytes, **fields: Any) -> InstalledModel:
    described = {"network": NETWORK, "weights": {"file": "weights.bin"}} | fields
    return installed(folder, "torch", {"weights.bin": weights}, **described)
