"""Which segments of an object may be which of the model's: by their codes and labels."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from pydicom import Dataset

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.codes import own_text, value_of
from dicom_ai_node.gate.object_file import ObjectFile
from dicom_ai_node.result import Segment

# of a mask of the result (by its index) a segment number, and what that is
Candidates: TypeAlias = Sequence[tuple[int, Segment]]

SIDES = {"7771000": "left", "24028007": "right"}  # SCT, CID 244


class Described(NamedTuple):
    """A segment as the object describes it."""

    code: tuple[str, str]
    label: str
    sides: frozenset[str]


def candidates_of(file: ObjectFile, candidates: Candidates) -> dict[int, list[tuple[int, int]]]:
    """By the object's own segment number: (mask, the model's number) of those that it may be.

    Several of one code whose letters the character set does not have are told apart by voxels.
    """
    found = {}
    for item in file.header.get("SegmentSequence") or ():
        if int(item.SegmentNumber):  # a label map describes its background
            said = _described(item)
            same = [(mask, each.number) for mask, each in candidates if _may_be(said, each)]
            if not same:
                raise ResultMismatch("it has a segment that the model has not marked")
            found[int(item.SegmentNumber)] = same
    return found


def _described(item: Dataset) -> Described:
    (code,) = item.SegmentedPropertyTypeCodeSequence
    modifiers = code.get("SegmentedPropertyTypeModifierCodeSequence") or ()
    sides = (SIDES.get(own_text(modifier, "CodeValue")) for modifier in modifiers)
    return Described(
        code=(value_of(code), own_text(code, "CodingSchemeDesignator")),
        label=own_text(item, "SegmentLabel"),
        sides=frozenset(side for side in sides if side),
    )


def _may_be(said: Described, segment: Segment) -> bool:
    side = getattr(segment, "laterality", None)
    return (
        said.code == (segment.type.value, segment.type.scheme_designator)
        and (not segment.label.isascii() or said.label == segment.label.strip())
        and (not side or not said.sides or str(side) in said.sides)
    )
