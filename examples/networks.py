"""The two networks as their packages describe them, and a few steps of training."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import TorchPackage
from dicom_ai_node.config.manifest import hashes_of
from dicom_ai_node.config.store import read_description
from dicom_ai_node.models.formats.torch_network import build_network
from dicom_ai_node.models.installation.install import CATALOGUE
from examples.sources import Head

DETECTION, CLASSIFICATION = "demo-detection", "demo-classification"
Batch = tuple[Tensor, Tensor]
# an image, and what the network should answer
Scene = Callable[[Head, np.random.Generator], tuple[NDArray[np.float32], object]]
Loss = Callable[[Tensor, Tensor], Tensor]


def described(name: str) -> TorchPackage:
    package = read_description(CATALOGUE / name)
    if not isinstance(package, TorchPackage):
        raise TypeError(f"{name} is no package of kind torch")
    return package


def untrained(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    folder: Path = CATALOGUE / name
    package = described(name)
    installed = InstalledModel(
        folder=folder, package=package, sha256="0" * 64, files=hashes_of(folder), trusted=False
    )
    return build_network(installed, package.network)


def batches(make: Scene, heads: list[Head], size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Endless; every head as often as the others."""
    while True:
        pairs = [make(heads[int(rng.integers(len(heads)))], rng) for _ in range(size)]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])[:, None])
        wanted = torch.from_numpy(np.stack([np.asarray(w, np.float32) for _, w in pairs])[:, None])
        yield images, wanted


def heat_loss(answer: Tensor, wanted: Tensor) -> Tensor:
    """Voxels of a lesion are few, and weigh the more."""
    return binary_cross_entropy_with_logits(answer, wanted, weight=1 + 4 * wanted)


def trained(
    network: nn.Module, data: Iterator[Batch], loss: Loss, steps: int, rate: float
) -> Iterator[float]:
    """The loss of each step, as it is made; the rate falls to nothing towards the last."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.1
    )
    network.train()
    for _ in range(steps):
        images, wanted = next(data)
        optimizer.zero_grad()
        value = loss(network(images), wanted)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        yield float(value.detach())
