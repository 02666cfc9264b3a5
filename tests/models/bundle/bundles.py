"""MONAI bundles as the Model Zoo writes them, with a network small enough for a test."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets.unet import UNet

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.models.installation.install import install_folder

NETWORK: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 1,
    "norm": "batch",
}
INFERENCE: dict[str, Any] = {
    "imports": ["$import glob", "$import os"],
    "displayable_configs": {"highres": True, "sw_overlap": 0.5},
    "bundle_root": ".",
    "image_key": "image",
    "output_dir": "$@bundle_root + '/eval'",
    "output_dtype": "$numpy.float32",
    "dataset_dir": "/workspace/data/Task09_Spleen",
    "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "pixdim": "$[4.0, 4.0, 2.5 * 2] if @displayable_configs#highres else [6.0, 6.0, 6.0]",
    "network_def": {"_target_": "UNet", **NETWORK},
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key", "reader": "ITKReader"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {
                "_target_": "Spacingd",
                "keys": ["image"],
                "pixdim": "@pixdim",
                "mode": ["bilinear"],
            },
            {
                "_target_": "monai.transforms.ScaleIntensityRanged",
                "keys": "image",
                "a_min": -1000,
                "a_max": 500,
                "b_min": 0,
                "b_max": 1,
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
        ],
    },
    "dataset": {
        "_target_": "Dataset",
        "data": "$[{'image': i} for i in @datalist]",
        "transform": "@preprocessing",
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": [16, 16, 16],
        "sw_batch_size": 2,
        "overlap": "@displayable_configs#sw_overlap",
        "padding_mode": "replicate",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "@preprocessing",
                "orig_keys": "image",
                "nearest_interp": False,
                "to_tensor": True,
            },
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {
                "_target_": "SaveImaged",
                "keys": "pred",
                "output_dir": "@output_dir",
                "output_dtype": "@output_dtype",
                "output_postfix": "$datetime.datetime.now().isoformat()",
            },
        ],
    },
    "evaluator": {"_target_": "SupervisedEvaluator", "network": "@network", "amp": True},
    "checkpointloader": {
        "_target_": "CheckpointLoader",
        "load_path": "$@bundle_root + '/models/model.pt'",
        "load_dict": {"model": "@network"},
    },
    "initialize": ["$monai.utils.set_determinism(seed=123)", "$@checkpointloader(@evaluator)"],
    "run": ["$@evaluator.run()"],
}
METADATA = {
    "version": "0.1.0",
    "monai_version": "1.4.0",
    "task": "a box",
    "network_data_format": {},
}
MODEL_YAML = """\
kind: monai_bundle
name: box
version: 0.1.0
title: Box by a bundle
backend: torch
segments:
  - {number: 1, label: Box, category: "SCT:123037004:Anatomical Structure", type: "SCT:78961009"}
outputs:
  - {task: segmentation}
"""


def network() -> UNet:
    """Every time with the same weights, which find something."""
    torch.manual_seed(7)
    return UNet(**NETWORK).eval()


def install_bundle(
    home: Path,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    *,
    model_yaml: str = MODEL_YAML,
    files: dict[str, bytes] | None = None,
    trusted: bool = False,
) -> InstalledModel:
    """`change` is made to the configuration, and `files` are added to the package (or replaced)."""
    inference = copy.deepcopy(INFERENCE)
    change(inference)
    source = home / "source"
    for folder in ("configs", "models"):
        (source / "bundle" / folder).mkdir(parents=True)
    (source / "model.yaml").write_text(model_yaml)
    (source / "bundle/configs/inference.json").write_text(json.dumps(inference, indent=4))
    (source / "bundle/configs/metadata.json").write_text(json.dumps(METADATA))
    torch.save(network().state_dict(), source / "bundle/models/model.pt")
    for name, content in (files or {}).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    return install_folder(source, home / "store").model_copy(update={"trusted": trusted})
