"""The source's text in ISO_IR 192, for objects whose own text its character set cannot hold."""

from collections.abc import Iterable
from typing import cast

from pydicom import DataElement, Dataset
from pydicom.charset import decode_bytes, default_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import BaseTag
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from dicom_ai_node.encoders.source.headers import Encodings, encodings_of, has_character_set

UNICODE = "ISO_IR 192"
TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_UNSURE = ("\ufffd", "\x1b")  # what pydicom makes of bytes that are not of the set


def in_unicode(source: Dataset, keywords: Iterable[str]) -> Dataset | None:
    """A data set of these attributes with equal code points (P22); None where any of their bytes
    are not of the set that the source declares: those are never changed."""
    if not has_character_set(source):
        return None
    found = Dataset()
    for keyword in keywords:
        tag = BaseTag(tag_for_keyword(keyword) or 0)
        if tag in source and keyword != "SpecificCharacterSet":
            element = _in_unicode(source, tag, encodings_of(source))
            if element is None:
                return None
            found[tag] = element
    found.SpecificCharacterSet = UNICODE
    return found


def letters_of(encodings: Encodings) -> list[str]:
    """As the set is: pydicom reads the default repertoire as Latin-1."""
    several = [encodings] if isinstance(encodings, str) else encodings
    return ["ascii" if each == default_encoding else each for each in several]


def _in_unicode(
    source: Dataset, tag: BaseTag, encodings: Encodings
) -> DataElement | RawDataElement | None:
    element = cast("DataElement | RawDataElement", source.get_item(tag))
    vr = element.VR or dictionary_VR(tag)
    if vr == "UN":
        vr = dictionary_VR(tag)
    if vr == "SQ":
        items = [_item(item, encodings) for item in source[tag].value or []]
        whole = [item for item in items if item is not None]
        return DataElement(tag, "SQ", DicomSequence(whole)) if len(whole) == len(items) else None
    if vr not in TEXT_VRS or not isinstance(element, RawDataElement) or not element.value:
        return element
    text = _text(element.value, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    if text is None:
        return None
    content = text.encode()
    content += b" " * (len(content) % 2)
    return element._replace(
        VR=vr, value=content, length=len(content), is_implicit_VR=False, is_little_endian=True
    )


def _item(item: Dataset, around: Encodings) -> Dataset | None:
    own = encodings_of(item, around)
    found = Dataset(parent_encoding=["utf8"])
    found.set_original_encoding(False, True, ["utf8"])
    for tag in item.keys():  # noqa: SIM118 - iterating over the item itself would decode it
        if tag.is_private or tag.element == 0 or tag == tag_for_keyword("SpecificCharacterSet"):
            continue
        element = _in_unicode(item, tag, own)
        if element is None:
            return None
        found[tag] = element
    return found


def _text(content: bytes, encodings: Encodings, delimiters: set[int]) -> str | None:
    """None unless each byte is of the set; padding belongs to it."""
    several = letters_of(encodings)
    if len(several) == 1:
        try:
            text = content.decode(several[0])
        except UnicodeDecodeError:
            return None
    else:
        text = decode_bytes(content, several, delimiters)
    return None if any(mark in text for mark in _UNSURE) else text
