"""Where a network runs."""

from collections.abc import Callable

import torch

from dicom_ai_node.errors import ModelError


def choose_device(wanted: str) -> torch.device:
    """`auto` takes the first of CUDA, MPS and CPU that is there; any other must be there."""
    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if wanted == "auto":
        wanted = next(name for name, is_there in available.items() if is_there())
    if not available[wanted]():
        raise ModelError(
            f"torch finds no {wanted} device here: write device: auto in model.yaml, "
            f"or install the build of torch for {wanted}"
        )
    return torch.device(wanted)
