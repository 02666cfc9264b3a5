"""`node.font`: a font, and nothing else."""

from pathlib import Path

import pytest
from PIL import ImageFont

from dicom_ai_node.config.load import load
from dicom_ai_node.errors import ConfigError


def configured(folder: Path, font: Path) -> Path:
    (folder / "node.yaml").write_text(f"node:\n  ae_title: NODE\n  font: {font}\n")
    return folder


def test_a_font_is_taken(tmp_path: Path) -> None:
    font = tmp_path / "own.ttf"
    font.write_bytes(ImageFont.load_default(10).font_bytes)
    assert load(configured(tmp_path, font)).node.font == font


@pytest.mark.parametrize("content", [b"root:x:0:0", b"", None])
def test_what_is_no_font_is_a_mistake(tmp_path: Path, content: bytes | None) -> None:
    font = tmp_path / "own.ttf"
    if content is not None:
        font.write_bytes(content)
    with pytest.raises(ConfigError, match=r"node.font: .*(no TTF|no such file)"):
        load(configured(tmp_path, font))
