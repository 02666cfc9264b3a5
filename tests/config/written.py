"""Configurations as people write them, and what is said of them."""

from pathlib import Path
from textwrap import dedent

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError

SMALL = "node: {ae_title: AI_NODE}\n"


def read(folder: Path, *, environ: dict[str, str] | None = None, **files: str) -> Config:
    """Load a folder with these files; `a="…"` is a.yaml."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(dedent(text), encoding="utf-8", newline="")
    return load(folder, environ or {})


def mistakes(folder: Path, *, environ: dict[str, str] | None = None, **files: str) -> list[str]:
    """Without the folder before the names of files."""
    with pytest.raises(ConfigError) as caught:
        read(folder, environ=environ, **files)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]
