"""A U-Net over windows of 96³: MONAI's inferer and torch, against this node's runtimes."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from monai.inferers.inferer import SlidingWindowInferer
from monai.networks.nets.unet import UNet
from torch import Tensor

from dicom_ai_node.config.network import NetworkPackage, SlidingWindow
from dicom_ai_node.models.backends.choose import on_backend
from dicom_ai_node.models.network.infer import infer

WINDOW = (96, 96, 96)
VOLUME = (160, 160, 128)  # eight windows with an overlap of a quarter
BACKENDS = ("torch", "onnxruntime", "openvino")


def unet() -> UNet:
    torch.manual_seed(0)
    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=2,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
    ).eval()


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
    tensor = torch.randn((1, *VOLUME), generator=torch.Generator().manual_seed(1))
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
