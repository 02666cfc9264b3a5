"""A header whose elements all say how long they are, in a third of the time of pydicom's reader.

It becomes what pydicom makes of it, raw elements, or is left to pydicom.
"""

import struct
from functools import lru_cache
from typing import cast

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import (
    DataElement,
    RawDataElement,
    convert_raw_data_element,
    empty_value_for_VR,
)
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

_VRS = {vr.encode(): (str(vr), vr in EXPLICIT_VR_LENGTH_32) for vr in STANDARD_VR}
_ELEMENT = struct.Struct("<HH2sH")  # tag, VR, length (PS3.5 7.1.2)
_LONG = struct.Struct("<L")  # the length, behind two bytes of nothing
_LONGEST = _ELEMENT.size + _LONG.size
_UNDEFINED = 0xFFFFFFFF
_PIXELS = range(0x7FE00008, 0x7FE10000)  # FloatPixelData, DoubleFloatPixelData, PixelData
_CHARACTER_SET = BaseTag(0x00080005)


def flat_header(part10: bytes, at: int) -> tuple[Dataset, int] | None:
    """The data set that begins there, in explicit VR little endian, and where its pixels begin.

    None where an element has no length or a VR of its own, or the bytes end before the pixels.
    """
    found: dict[BaseTag, DataElement | RawDataElement] = {}
    last = len(part10) - _LONGEST
    while at <= last:
        group, element, code, length = _ELEMENT.unpack_from(part10, at)
        number = group << 16 | element
        if number in _PIXELS:
            return _data_set(found), at
        if code not in _VRS:
            return None
        vr, is_long = _VRS[code]
        begin = at + _ELEMENT.size
        if is_long:
            (length,) = _LONG.unpack_from(part10, begin)
            begin += _LONG.size
            if length == _UNDEFINED:
                return None
        at = begin + length
        tag = _tag(number)
        value = part10[begin:at] if length else _empty(vr)
        found[tag] = RawDataElement(tag, vr, length, value, begin, False, True)
    return None


def _data_set(elements: dict[BaseTag, DataElement | RawDataElement]) -> Dataset:
    ds = Dataset(elements)
    said = elements.get(_CHARACTER_SET)
    encodings = _encodings(said) if isinstance(said, RawDataElement) else default_encoding
    ds.set_original_encoding(False, True, encodings)
    return ds


def _encodings(character_set: RawDataElement) -> list[str]:
    return convert_encodings(convert_raw_data_element(character_set).value)


@lru_cache(maxsize=4096)
def _tag(number: int) -> BaseTag:
    return BaseTag(number)


@lru_cache
def _empty(vr: str) -> bytes | None:
    return cast("bytes | None", empty_value_for_VR(vr, raw=True))
