"""Single values of the DICOM JSON model (PS3.18 Annex F), from whoever wrote it."""

import json
from collections.abc import Sequence

from pydicom.datadict import tag_for_keyword


def items(body: bytes) -> Sequence[object]:
    """The data sets of an answer; none where it is no JSON. One may come without its array."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else [found]


def values(item: object, keyword: str) -> Sequence[object]:
    """Empty for what is not there, or is not as it should be."""
    tag = tag_for_keyword(keyword)
    element = item.get(f"{tag:08X}") if isinstance(item, dict) else None
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def text(item: object, keyword: str) -> str:
    """The one value; empty where there are none or several."""
    found = values(item, keyword)
    return str(found[0]).strip() if len(found) == 1 and isinstance(found[0], str | int) else ""


def number(item: object, keyword: str) -> int | None:
    found = text(item, keyword)
    return int(found) if found.isascii() and found.isdigit() and len(found) < 16 else None
