"""Letters: of the first font that has them all, and none of them is lost."""

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from dicom_ai_node.encoders.companions.sheet import Sheet
from dicom_ai_node.encoders.companions.typeface import Typeface, typeface_for


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A font of the site's: here Pillow's, from a file."""
    path = tmp_path / "own.ttf"
    path.write_bytes(ImageFont.load_default(10).font_bytes)
    return path


def test_plain_letters_are_the_same_on_every_machine() -> None:
    assert typeface_for("AI RESULT: NO FINDING (93 %), 12.5 mm2") == Typeface()


def test_the_sites_own_font_comes_first(own: Path) -> None:
    assert typeface_for("anything", own) == Typeface(own)


def test_a_font_that_is_none_is_passed_over(tmp_path: Path) -> None:
    """A page without it is better than no page."""
    path = tmp_path / "broken.ttf"
    path.write_bytes(base64.b64decode("AAEAAAA="))
    assert typeface_for("anything", path) == Typeface()
    assert typeface_for("anything", tmp_path / "gone.ttf") == Typeface()


def test_what_no_font_has_is_a_question_mark_and_never_nothing() -> None:
    face = Typeface()
    assert face.drawable("肺 CT") == "? CT"
    assert face.drawable("Größe ≥ 5 × 3 mm²") == "Gro?e >= 5 x 3 mm2"
    assert face.drawable("plain") == "plain"


def test_letters_of_a_site_are_drawn_where_the_system_has_them() -> None:
    text = "Лёгкое слева"
    face = typeface_for(text)
    if face.lacks(text):
        pytest.skip("no font of this machine has Cyrillic letters")
    assert face.drawable(text) == text
    image = Image.new("L", (400, 40))
    ImageDraw.Draw(image).text((5, 5), text, 255, face.font(20))
    assert np.asarray(image).any()


def test_text_is_broken_between_words_and_within_what_has_none() -> None:
    sheet = Sheet(image=Image.new("RGB", (300, 300)), face=Typeface())
    found = sheet.lines("one two three four five six seven eight nine ten", 20, 150)
    assert len(found) > 1
    assert " ".join(found) == "one two three four five six seven eight nine ten"
    long = "x" * 80
    broken = sheet.lines(long, 20, 150)
    assert "".join(broken) == long
    assert max(Typeface().font(20).getlength(line) for line in broken) <= 150
