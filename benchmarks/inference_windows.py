"""A U-Net over windows of 96³: MONAI's inferer and torch, against this node's runtimes."""

import functools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from monai.inferers.inferer import SlidingWindowInferer
from monai.networks.nets.unet import UNet
from torch import Tensor
from torch.nn import functional

from dicom_ai_node.config.network import NetworkPackage, SlidingWindow
from dicom_ai_node.models.backends.choose import on_backend
from dicom_ai_node.models.network.infer import infer

WINDOW = (96, 96, 96)
VOLUME = (96, 96, 168)  # two windows with an overlap of a quarter
ARGUMENTS: dict[str, Any] = {
    "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
    "channels": (16, 32, 64, 128, 256), "strides": (2, 2, 2, 2), "num_res_units": 2,
}  # fmt: skip
STEPS = 80
BACKENDS = ("torch", "onnxruntime", "openvino")


def blobs(shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    """A noisy image (1, *shape), and where it is bright beneath the noise (*shape)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, 1, *(size // 12 for size in shape)), generator=generator)
    smooth = functional.interpolate(coarse, size=shape, mode="trilinear")[0]
    noise = torch.randn((1, *shape), generator=generator)
    return smooth + 0.3 * noise, (smooth[0] > 0.3).long()


@functools.cache
def trained() -> Mapping[str, Tensor]:
    """Half a minute of training: an untrained network's answers are ties, which tell nothing."""
    torch.manual_seed(0)
    network = UNet(**ARGUMENTS).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(STEPS):
        image, label = blobs((48, 48, 48), step)
        loss = functional.cross_entropy(network(image[None]), label[None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.state_dict()


def unet() -> UNet:
    network = UNet(**ARGUMENTS)
    network.load_state_dict(trained())
    return network.eval()


def package(backend: str) -> NetworkPackage:
    code = "SCT:123037004:Anatomical Structure"
    segment = {"number": 1, "label": "Blob", "category": code, "type": code}
    return NetworkPackage.model_validate(
        {
            "name": "unet", "version": "1", "title": "A U-Net", "backend": backend, "device": "cpu",
            "inference": {"kind": "sliding_window", "roi_size": WINDOW},
            "outputs": [{"task": "segmentation"}], "segments": [segment],
        }
    )  # fmt: skip


def rows(rounds: int) -> list[dict[str, Any]]:
    ways = {"MONAI SlidingWindowInferer, torch eager": _by_monai(unet())}
    opening = {}
    for backend in BACKENDS:
        began = time.perf_counter()
        ways[f"this node, {backend}"] = _by_us(backend)
        opening[f"this node, {backend}"] = time.perf_counter() - began
    tensor, _ = blobs(VOLUME, STEPS)
    answers = {name: way(tensor) for name, way in ways.items()}  # and now they are warm
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way(tensor)
            took[name].append(time.perf_counter() - began)
    first = next(iter(answers.values()))
    # each round by itself, since what else runs on the machine changes between them
    beside = {
        name: statistics.median(
            own / base for own, base in zip(times, next(iter(took.values())), strict=True)
        )
        for name, times in took.items()
    }
    return [
        {
            "what": f"U-Net, windows of 96³ on {' × '.join(map(str, VOLUME))}",
            "how": name,
            "seconds": statistics.median(took[name]),
            "ratio": beside[name],
            "note": _difference(answer, first)
            + (f", opened in {opening[name]:.1f} s" if name in opening else ""),
        }
        for name, answer in answers.items()
    ]


def _by_monai(network: UNet) -> Callable[[Tensor], Tensor]:
    inferer = SlidingWindowInferer(WINDOW, 1, overlap=0.25, mode="gaussian")

    def run(tensor: Tensor) -> Tensor:
        with torch.inference_mode():
            answer: Tensor = inferer(tensor[None], network)[0]
        return answer

    return run


def _by_us(backend: str) -> Callable[[Tensor], Tensor]:
    described = package(backend)
    network = on_backend(unet(), described, torch.device("cpu"))
    how = described.inference
    assert isinstance(how, SlidingWindow)
    return lambda tensor: infer(network, tensor, how)[0]


def _difference(answer: Tensor, first: Tensor) -> str:
    most = float((answer - first).abs().max() / (first.max() - first.min()))
    changed = int((answer.argmax(0) != first.argmax(0)).sum())
    return f"differs by {most:.1e} of the range, {changed} of {answer[0].numel()} voxels"
