"""Headers of the source: copies that do not change a byte, and stand-ins without a person."""

import copy
from collections.abc import Iterable, Sequence
from typing import TypeAlias, cast

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings, default_encoding, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import STR_VR

from dicom_ai_node.encoders.modules import PLACE, TYPE_2

Encodings: TypeAlias = str | list[str]
_CODECS = frozenset(python_encoding.values())
_PLACE_TAGS = [Tag(keyword) for keyword in PLACE]
_EMPTY = {  # raw ones cannot be changed: each data set makes its own of them
    Tag(keyword): RawDataElement(Tag(keyword), dictionary_VR(keyword), 0, b"", 0, False, True)
    for keyword in TYPE_2
}


def in_order(headers: Iterable[Dataset]) -> list[Dataset]:
    """By SOP Instance UID: nothing in a result may depend on the order in which files came."""
    return sorted(headers, key=lambda header: str(header.SOPInstanceUID))


def encodings_of(source: Dataset, around: Encodings = default_encoding) -> Encodings:
    """pydicom's codecs for a Specific Character Set, for one that it does not know its default;
    an item without one has that of the data set around it (PS3.5 7.5.3)."""
    value = source.get("SpecificCharacterSet")
    return convert_encodings(value) if value else around


def has_character_set(source: Dataset) -> bool:
    """False for the name of a codec that is Python's alone: pydicom would use hex, or UTF-16."""
    encodings = encodings_of(source)
    return {*([encodings] if isinstance(encodings, str) else encodings)} <= _CODECS


def item_within(around: Encodings) -> Dataset:
    """For bytes copied into an item: pydicom writes them as they are where it knows of no other set
    than theirs, and would decode and encode them anew otherwise."""
    item = Dataset(parent_encoding=around)
    item.set_original_encoding(False, True, around)
    return item


def copy_keywords(
    source: Dataset,
    target: Dataset,
    keywords: Iterable[str],
    around: Encodings = default_encoding,
) -> None:
    """Make `target` have what `source` has; anything else is absent, or empty if type 2.

    Text that nobody has read yet is copied as the bytes that came, whatever its character set.
    """
    encodings = encodings_of(source, around)
    for keyword in keywords:
        tag = BaseTag(tag_for_keyword(keyword) or 0)
        if tag in source:
            target[tag] = _copied(source, tag, encodings)
        elif keyword in TYPE_2:
            setattr(target, keyword, None)
        elif tag in target:
            del target[tag]


def stand_in(header: Dataset) -> Dataset:
    """The header as the encoders see it: type 2 attributes empty, and no text of the source.

    highdicom refuses ISO 2022 character sets, and reading text would decode it in the original.
    """
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for tag, empty in _EMPTY.items():
        ds[tag] = empty
    for tag in _PLACE_TAGS:
        if tag in header:
            ds[tag] = header.get_item(tag)
    return ds


def read_only_items(source: Dataset, keyword: str) -> Sequence[Dataset]:
    """Items of a sequence for looking into, none if nobody can: the originals stay undecoded."""
    if keyword not in source or not has_character_set(source):
        return []
    return copy.deepcopy(source[keyword].value or [])


def _copied(source: Dataset, tag: BaseTag, encodings: Encodings) -> DataElement | RawDataElement:
    element = cast("DataElement | RawDataElement", source.get_item(tag))
    vr = element.VR or dictionary_VR(tag)
    if vr == "UN":
        vr = dictionary_VR(tag)
    if vr == "SQ":
        items = [_copied_item(item, encodings) for item in source[tag].value or []]
        return DataElement(tag, "SQ", DicomSequence(items))
    if isinstance(element, RawDataElement) and vr in STR_VR and element.value is not None:
        return element._replace(VR=vr, is_implicit_VR=False, is_little_endian=True)
    return copy.deepcopy(source[tag])


def _copied_item(item: Dataset, around: Encodings) -> Dataset:
    own = encodings_of(item, around)
    result = item_within(own)
    for tag in item.keys():  # noqa: SIM118 - iterating over the item itself would decode it
        if not tag.is_private and tag.element != 0:
            result[tag] = _copied(item, tag, own)
    return result
