"""Coded concepts as they are written in YAML: `SCT:12738006` or `SCT:12738006:Brain`."""

from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, PlainSerializer
from pydicom.sr.codedict import CONCEPTS  # type: ignore[attr-defined]
from pydicom.sr.coding import Code

# scheme -> keyword -> value -> (meaning, the context groups that have it)
_Concepts = dict[str, dict[str, dict[str, tuple[str, list[int]]]]]


MAX_LO = 64  # PS3.5 6.2


def is_plain(text: str) -> bool:
    """Whether it is one value of LO: a backslash would part it in two (PS3.5 6.2)."""
    return "\\" not in text and text.isprintable()


def _plain(text: str) -> str:
    if not is_plain(text):
        raise ValueError("write it without a backslash, and in one line")
    return text


PlainText = Annotated[str, AfterValidator(_plain)]


def parse_code(text: Any) -> Code:
    """The meaning may be left out for concepts that pydicom's dictionary (PS3.16 CIDs) knows."""
    if isinstance(text, Code):
        return text
    scheme, _, rest = str(text).partition(":")
    value, _, meaning = rest.partition(":")
    if not scheme or not value:
        raise ValueError("write a code as SCHEME:VALUE:MEANING, for example SCT:12738006:Brain")
    meaning = meaning or _dictionary_meaning(scheme, value)
    if not meaning:
        raise ValueError(f"the meaning of {text} is not known: write {text}:MEANING")
    if len(meaning) > MAX_LO or not is_plain(meaning):
        raise ValueError(f"a code's meaning has {MAX_LO} letters at most, and no backslash")
    return Code(value, scheme, meaning)


def _dictionary_meaning(scheme: str, value: str) -> str:
    """The meaning that a context group of PS3.16 gives, before one that no group uses."""
    by_keyword = cast("_Concepts", CONCEPTS).get(scheme, {})
    entries = [by_value[value] for by_value in by_keyword.values() if value in by_value]
    entries.sort(key=lambda entry: not entry[1])
    return entries[0][0] if entries else ""


def write_code(code: Code) -> str:
    return f"{code.scheme_designator}:{code.value}:{code.meaning}"


ConceptCode = Annotated[Code, BeforeValidator(parse_code), PlainSerializer(write_code)]
