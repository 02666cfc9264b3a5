"""The canary is found however it is written: else a green search would say nothing."""

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import canary


@pytest.mark.parametrize("word", canary.WORDS)
@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_a_word_is_found_however_it_is_written(word: str, before: str) -> None:
    text = f"{before}{word}^more"
    forms = [
        text.encode(),
        text.encode("utf-16-le"),
        json.dumps(text).encode(),
        quote(text).encode(),
        base64.b64encode(f"{text} and more".encode()),
        repr(text.lower()).encode(),
    ]
    assert [form for form in forms if not canary.found_in(form)] == []


def test_a_word_is_found_in_names_and_in_files(tmp_path: Path) -> None:
    (tmp_path / f"x{canary.STEM}").touch()
    (tmp_path / "contents").write_bytes(b"\0" * 1000 + canary.STEM.encode("utf-16-be"))
    (tmp_path / "clean").write_text("nobody")
    assert canary.where(tmp_path).keys() == {f"x{canary.STEM}", "contents"}


def test_a_patient_has_a_word_in_every_attribute_of_text() -> None:
    (ds, *_) = canary.patient("words")
    texts = [e for e in ds if e.VR in ("PN", "LO", "SH", "ST", "LT", "UT")]
    assert len(texts) > 250
    assert [e.keyword for e in texts if canary.STEM not in str(e.value)] == []
