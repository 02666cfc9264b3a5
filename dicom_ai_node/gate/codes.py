"""What our own codes and labels say in a file."""

from pydicom import Dataset
from pydicom.dataelem import RawDataElement

# by its length and kind (PS3.3 8.1): an item has one of them
CODE_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")
_ESCAPE = b"\x1b"


def value_of(code: Dataset) -> str:
    return next((own_text(code, name) for name in CODE_VALUES if name in code), "")


def own_text(item: Dataset, keyword: str) -> str:
    """Without padding; "" where it is absent.

    What is ASCII is that in every character set, and read so whatever the source declares: what it
    declares may be no set of DICOM.
    """
    element: object = item.get_item(keyword)
    if isinstance(element, RawDataElement):
        content = element.value or b""
        if content.isascii() and _ESCAPE not in content:
            return content.decode("ascii").strip(" \0")
    return str(item.get(keyword) or "").strip()
