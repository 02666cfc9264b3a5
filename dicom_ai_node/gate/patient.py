"""Whether an object says of patient and study what its source says."""

from typing import cast

from pydicom import DataElement, Dataset
from pydicom.charset import decode_bytes
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.valuerep import PN_DELIMS, STR_VR, TEXT_VR_DELIMS

from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.encoders.source.headers import Encodings, encodings_of

SPECIFIC_CHARACTER_SET = tag_for_keyword("SpecificCharacterSet")
_PADDING = b" \0"


def differing(found: Dataset, source: Dataset) -> list[str]:
    """The attributes of the Patient and Study modules (PS3.3 C.7.1, C.7.2) that are not those of
    the source: by their bytes where the character set is the same, else by their code points."""
    theirs, ours = encodings_of(source), encodings_of(found)
    keywords = dict.fromkeys((*PATIENT, *STUDY))
    tags = {keyword: BaseTag(tag_for_keyword(keyword) or 0) for keyword in keywords}
    return [k for k, tag in tags.items() if not _is_same(tag, found, ours, source, theirs)]


def _is_same(
    tag: BaseTag, found: Dataset, ours: Encodings, source: Dataset, theirs: Encodings
) -> bool:
    one, other = _element(found, tag), _element(source, tag)
    if one is None or other is None:
        return one is other
    vr = _vr(other)
    if vr == "SQ":
        return _are_same_items(tag, found, ours, source, theirs)
    if isinstance(one, RawDataElement) and isinstance(other, RawDataElement) and vr in STR_VR:
        ours_, theirs_ = _content(one), _content(other)
        if ours_ == theirs_ and (ours == theirs or _is_plain(ours_)):
            return True
        delimiters = PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS
        return decode_bytes(ours_, _list(ours), delimiters) == decode_bytes(
            theirs_, _list(theirs), delimiters
        )
    return str(found[tag].value) == str(source[tag].value)


def _are_same_items(
    tag: BaseTag, found: Dataset, ours: Encodings, source: Dataset, theirs: Encodings
) -> bool:
    pairs = list(zip(found[tag].value, source[tag].value, strict=False))
    if len(found[tag].value) != len(source[tag].value):
        return False
    return all(
        _tags(one) == _tags(other)
        and all(
            _is_same(each, one, encodings_of(one, ours), other, encodings_of(other, theirs))
            for each in _tags(one)
        )
        for one, other in pairs
    )


def _element(ds: Dataset, tag: BaseTag) -> DataElement | RawDataElement | None:
    """None where there is no value: what is absent here may be empty there."""
    if tag not in ds:
        return None
    element = cast("DataElement | RawDataElement", ds.get_item(tag, keep_deferred=True))
    if isinstance(element, RawDataElement):
        return element if _content(element) else None
    # pydicom counts one value in a sequence without items
    is_empty = not element.value if element.VR == "SQ" else element.is_empty
    return None if is_empty else element


def _vr(element: DataElement | RawDataElement) -> str:
    vr = element.VR or dictionary_VR(element.tag)
    return dictionary_VR(element.tag) if vr == "UN" else vr


def _content(element: RawDataElement) -> bytes:
    return (element.value or b"").rstrip(_PADDING)


def _is_plain(content: bytes) -> bool:
    """The same letters in every set: without an escape, ASCII."""
    return content.isascii() and b"\x1b" not in content


def _list(encodings: Encodings) -> list[str]:
    return [encodings] if isinstance(encodings, str) else encodings


def _tags(item: Dataset) -> set[BaseTag]:
    """Of what is copied: text of ours says in which letters it is, and private elements go."""
    return {
        tag
        for tag in item.keys()  # noqa: SIM118 - iterating over the item would decode it
        if not tag.is_private
        and tag.element != 0
        and tag != SPECIFIC_CHARACTER_SET
        and _element(item, tag) is not None
    }
