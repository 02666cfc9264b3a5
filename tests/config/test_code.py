"""Coded concepts as they are written in YAML."""

import pytest
from pydantic import TypeAdapter, ValidationError
from pydicom.sr.coding import Code

from dicom_ai_node.config.code import PlainText, parse_code, write_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SCT:12738006", Code("12738006", "SCT", "Brain")),
        ("SCT:12738006:My brain", Code("12738006", "SCT", "My brain")),
        ("DCM:121070:Findings: all", Code("121070", "DCM", "Findings: all")),
        ("99SITE:X-1:Ours", Code("X-1", "99SITE", "Ours")),
    ],
)
def test_a_code_is_read(text: str, code: Code) -> None:
    parsed = parse_code(text)
    assert (parsed.value, parsed.scheme_designator, parsed.meaning) == code[:3]


def test_what_is_written_is_read_again() -> None:
    code = Code("12738006", "SCT", "Brain")
    assert parse_code(write_code(code)) == code
    assert parse_code(code) is code


@pytest.mark.parametrize("text", ["", "SCT", "SCT:", ":1:x", 12738006])
def test_half_a_code_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="SCHEME:VALUE:MEANING"):
        parse_code(text)


def test_an_unknown_code_needs_its_meaning() -> None:
    with pytest.raises(ValueError, match="write 99SITE:X-1:MEANING"):
        parse_code("99SITE:X-1")


@pytest.mark.parametrize("meaning", ["R\\L", "two\nlines", "x" * 65])
def test_a_meaning_is_one_value_that_fits(meaning: str) -> None:
    with pytest.raises(ValueError, match="64 letters at most, and no backslash"):
        parse_code(f"99SITE:1:{meaning}")


@pytest.mark.parametrize("text", ["R\\L", "two\nlines"])
def test_a_label_is_one_value(text: str) -> None:
    with pytest.raises(ValidationError, match="without a backslash"):
        TypeAdapter(PlainText).validate_python(text)
