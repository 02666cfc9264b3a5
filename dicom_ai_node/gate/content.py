"""The content tree of a report (PS3.3 C.17.3) from its bytes."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword

from dicom_ai_node.gate.codes import CODE_VALUES
from dicom_ai_node.gate.explicit_vr import elements, every, items
from dicom_ai_node.gate.object_file import ObjectFile

CONTENT = tag_for_keyword("ContentSequence")
_NAME = tag_for_keyword("ConceptNameCodeSequence")
_VALUE = tag_for_keyword("ConceptCodeSequence")
_MEASURED = tag_for_keyword("MeasuredValueSequence")
_TEXT = tag_for_keyword("TextValue")
_NUMBER = tag_for_keyword("NumericValue")
# one of them, by what the value is (PS3.3 8.1)
_CODE = tuple(map(tag_for_keyword, CODE_VALUES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Code values of its concept name, its value or its unit; empty where it has none."""

    name: str
    value: str
    text: str
    number: str
    unit: str
    children: list["Item"]


def content_of(file: ObjectFile) -> Iterator[Item]:
    """Every item below the root, each before what is below it."""
    _, begin, end = file.places.get(CONTENT or 0, (0, 0, 0))
    for bounds in items(file.head, begin, end):
        yield from _flat(_item(file.head, bounds))


def _flat(item: Item) -> Iterator[Item]:
    yield item
    for child in item.children:
        yield from _flat(child)


def _item(head: bytes, bounds: tuple[int, int]) -> Item:
    name = value = text = number = unit = ""
    children: list[Item] = []
    for tag, begin, end in elements(head, *bounds):
        if tag == CONTENT:
            children = [_item(head, each) for each in items(head, begin, end)]
        elif tag == _NAME:
            name = _first(head, begin, end, _CODE)
        elif tag == _VALUE:
            value = _first(head, begin, end, _CODE)
        elif tag == _MEASURED:
            number, unit = (_first(head, begin, end, each) for each in ((_NUMBER,), _CODE))
        elif tag == _TEXT:
            text = _text(head[begin:end])
    return Item(name=name, value=value, text=text, number=number, unit=unit, children=children)


def _first(head: bytes, begin: int, end: int, wanted: Container[int | None]) -> str:
    return next((_text(head[a:b]) for tag, a, b in every(head, begin, end) if tag in wanted), "")


def _text(content: bytes) -> str:
    """ASCII of it: what else there is can be told apart, and no more is asked."""
    return content.decode("ascii", "replace").rstrip("\0 ")
