"""`node.language`: one that the node writes in."""

from pathlib import Path

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.language import Language


def configured(folder: Path, line: str = "") -> Path:
    (folder / "node.yaml").write_text(f"node:\n  ae_title: NODE\n{line}")
    return folder


def test_it_is_english_unless_told(tmp_path: Path) -> None:
    assert load(configured(tmp_path)).node.language is Language.ENGLISH


def test_it_can_be_any_that_there_is(tmp_path: Path) -> None:
    for language in Language:
        assert load(configured(tmp_path, f"  language: {language}\n")).node.language is language


def test_an_unknown_one_is_a_mistake_that_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        load(configured(tmp_path, "  language: xx\n"))
    (mistake,) = str(told.value).splitlines()[-1:]
    assert "node.language" in mistake
    assert all(f"'{language}'" in mistake for language in Language)
