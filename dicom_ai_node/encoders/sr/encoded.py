"""The content of a report as bytes: what its items share is encoded once.

A report of a hundred segments has 9,000 data sets, and 8,000 of them are the same few codes and the
same words about the algorithm. pydicom would write each of them anew.
"""

import struct
from collections.abc import Sequence

from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag

CONTENT_SEQUENCE = BaseTag(tag_for_keyword("ContentSequence") or 0)
_ITEM = struct.Struct("<HHL")
_SEQUENCE = struct.Struct("<HH2sHL")


def encode_content(ds: Dataset, encodings: str | Sequence[str]) -> None:
    """In place, of a finished report: nothing of it may be changed afterwards.

    Explicit VR Little Endian, sequences and items of defined length (PS3.5 7.5).
    """
    codecs = [encodings] if isinstance(encodings, str) else [*encodings]
    content = _items(ds.ContentSequence, codecs or [default_encoding], {})
    ds[CONTENT_SEQUENCE] = RawDataElement(
        CONTENT_SEQUENCE, "SQ", len(content), content, 0, False, True
    )


def _items(items: Sequence[Dataset], codecs: list[str], known: dict[int, bytes]) -> bytes:
    parts = []
    for item in items:
        if id(item) not in known:
            known[id(item)] = _encoded(item, codecs, known)
        content = known[id(item)]
        parts += [_ITEM.pack(0xFFFE, 0xE000, len(content)), content]
    return b"".join(parts)


def _encoded(item: Dataset, codecs: list[str], known: dict[int, bytes]) -> bytes:
    parts = []
    for tag in sorted(item.keys()):
        element = item.get_item(tag)
        if id(element) not in known:
            known[id(element)] = _element(element, codecs, known)
        parts.append(known[id(element)])
    return b"".join(parts)


def _element(
    element: DataElement | RawDataElement, codecs: list[str], known: dict[int, bytes]
) -> bytes:
    if isinstance(element, DataElement) and element.VR == "SQ":
        content = _items(element.value, codecs, known)
        tag = element.tag
        return _SEQUENCE.pack(tag.group, tag.element, b"SQ", 0, len(content)) + content
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    write_data_element(file, element, codecs)
    return file.getvalue()
