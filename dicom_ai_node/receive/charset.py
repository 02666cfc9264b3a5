"""What a value says in the character set that its instance declares (PS3.5 6.1)."""

import unicodedata
from functools import lru_cache

from pydicom.charset import ESC, convert_encodings, decode_bytes, python_encoding
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

_ASCII = ("", "ISO_IR 6", "ISO 2022 IR 6")
_ISO_IR_58 = "\x1b$)A"  # pydicom reads its letters, and leaves the escape sequences in


@lru_cache(maxsize=256)  # a study names its patient once for each instance
def text_of(value: bytes, character_set: bytes) -> str:
    """Composed (NFC). Bytes that the declared set cannot explain are UTF-8 where they can be, else
    Latin-1: what most senders mean that declare another set, or none."""
    declared = [each.strip("\0 ") for each in character_set.decode("latin-1").split("\\")]
    text = _decoded(value, declared)
    return unicodedata.normalize("NFC", _guessed(value) if text is None else text)


def _decoded(value: bytes, declared: list[str]) -> str | None:
    """None where the set does not explain every byte."""
    if not set(declared) <= python_encoding.keys() or (ESC not in value and declared[0] in _ASCII):
        return None
    delimiters = PN_DELIMS | TEXT_VR_DELIMS
    text = decode_bytes(value, convert_encodings(declared), delimiters).replace(_ISO_IR_58, "")
    return None if "\ufffd" in text or "\x1b" in text else text


def _guessed(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
