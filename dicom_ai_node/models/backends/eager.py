"""torch itself."""

import torch
from torch import Tensor, nn

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.models.network.infer import Network


def eager(network: nn.Module, package: NetworkPackage, device: torch.device) -> Network:
    """`network` lies on `device` already; mixed precision is CUDA's alone."""
    mixed = package.precision == "mixed" and device.type == "cuda"

    def run(batch: Tensor) -> object:
        with torch.autocast(device.type, enabled=mixed):
            # a copy: a network may begin in place, and windows are views of the study
            return network(batch.to(device, copy=True))

    return run
