"""Weights are used only when they are the bytes that model.yaml names."""

import hashlib
from pathlib import Path

from dicom_ai_node.config.package import Weights
from dicom_ai_node.errors import ModelError


def read_weights(folder: Path, weights: Weights) -> bytes:
    """Read once and hashed before anything looks inside, so no other bytes can be loaded."""
    path = folder / weights.file
    next_step = f"install the model {folder.name} again"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the weights {path} cannot be read ({error.strerror}): {next_step}"
        ) from None
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        raise ModelError(f"the weights {path} are not those that model.yaml names: {next_step}")
    return content
