"""Packages with a known answer, as an author would have made them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from dicom_ai_node.models.installation.install import CATALOGUE

AFFINE = np.array([[-2.0, 0, 0, 5], [0, 3.0, 0, 7], [0, 0, 5.0, 9], [0, 0, 0, 1]])  # 30 mm³
VOLUME_ML = 3.0
EXPECTED: dict[str, Any] = {
    "outcome": "findings",
    "measurements": [{"finding": "Bone 1", "name": "Volume", "value": 3.0, "tolerance": 0.01}],
}
UNET = {"spatial_dims": 3, "out_channels": 2, "features": [2, 2, 2, 2, 2, 2]}


def array() -> np.ndarray:
    """100 voxels of 500 HU in air: 3 mL."""
    made = np.full((20, 10, 10), -1000, np.int16)
    made[3, :, :] = 500
    return made


def threshold(folder: Path, expected: dict[str, Any] = EXPECTED, **arrays: Any) -> Path:
    """The package threshold-ct with a case of its own."""
    shutil.copytree(CATALOGUE / "threshold-ct", folder)
    shutil.rmtree(folder / "known_answer", ignore_errors=True)
    text = (folder / "model.yaml").read_text().replace("known_answer: known_answer\n", "")
    (folder / "model.yaml").write_text(text + "known_answer: known_answer\n")
    add(folder, expected, **arrays)
    return folder


def add(folder: Path, expected: dict[str, Any], **arrays: Any) -> None:
    known = folder / "known_answer"
    known.mkdir(exist_ok=True)
    case = {"array": array(), "affine": AFFINE, "modality": "CT"} | arrays
    np.savez_compressed(known / "case.npz", **case)
    (known / "expected.json").write_text(json.dumps(expected))


def network(folder: Path, own_code: bool = False) -> Path:
    """A network of MONAI with weights by chance (the same ones each time)."""
    import torch  # here, since processes that tests start import this module
    from monai.networks.nets import BasicUNet

    folder.mkdir(parents=True)
    torch.manual_seed(7)
    torch.save(BasicUNet(**UNET).state_dict(), folder / "weights.pt")
    file = ", file: network.py" if own_code else ""
    if own_code:
        (folder / "network.py").write_text("from monai.networks.nets import BasicUNet\n")
    (folder / "model.yaml").write_text(f"""\
name: small
version: 1.0.0
title: A small network
kind: torch
network: {{name: BasicUNet, arguments: {json.dumps(UNET)}{file}}}
weights: {{file: weights.pt}}
device: cpu
preprocess:
  - {{name: ScaleIntensityRange, a_min: -1000, a_max: 1000, b_min: 0, b_max: 1}}
  - {{name: DivisiblePad, k: 16}}
outputs: [{{task: segmentation, postprocess: [{{name: AsDiscrete, argmax: true}}]}}]
segments:
  - {{number: 1, label: Bone, category: "SCT:91723000:Organ", type: "SCT:272673000:Bone"}}
known_answer: known_answer
""")
    return folder
