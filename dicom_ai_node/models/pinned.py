"""Files of a package are used only when they are the bytes that were installed."""

import hashlib
from pathlib import Path

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import ModelChanged


def read_pinned(model: InstalledModel, file: str) -> bytes:
    """Read once and hashed before anything looks inside, so no other bytes can be loaded."""
    next_step = f"install {model.label} again"
    try:
        content = (model.folder / file).read_bytes()
    except OSError as error:
        raise ModelChanged(
            f"{file} of {model.label} cannot be read ({error.strerror}): {next_step}"
        ) from None
    if hashlib.sha256(content).hexdigest() != model.files.get(file):
        raise ModelChanged(
            f"{file} of {model.label} is not the one that was installed: {next_step}"
        )
    return content


def pinned_path(model: InstalledModel, file: str) -> Path:
    """For a library that wants a path: hashed now, and the file must not change under it."""
    read_pinned(model, file)
    return model.folder / file
