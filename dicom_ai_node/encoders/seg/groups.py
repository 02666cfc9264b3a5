"""The functional groups of thousands of frames that differ in a few numbers: written as bytes.

They are what pydicom would write of the skeleton's one frame, with other values put in.
"""

import struct
from collections.abc import Iterator, Sequence

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from dicom_ai_node.encoders.seg.frames import Frame
from dicom_ai_node.encoders.source.headers import Encodings, encodings_of
from dicom_ai_node.encoders.source.planes import SourcePlane

PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
CONTENT = Tag("FrameContentSequence")
IDENTIFICATION = Tag("SegmentIdentificationSequence")
ITEM = b"\xfe\xff\x00\xe0"
UL, US = struct.Struct("<L"), struct.Struct("<H")


def set_groups_of_segments(
    seg: Dataset, planes: Sequence[SourcePlane], places: Sequence[int], frames: Sequence[Frame]
) -> None:
    """Of each frame those of its place, with the number of its segment."""
    templates = dict(zip(places, _templates(seg, planes, places), strict=True))
    _set_groups(seg, [templates[place].of_segment(segment.number) for segment, place in frames])


def set_groups_of_places(
    seg: Dataset, planes: Sequence[SourcePlane], places: Sequence[int]
) -> None:
    """Where each place has one frame."""
    _set_groups(seg, [bytes(template.bytes) for template in _templates(seg, planes, places)])


def _set_groups(seg: Dataset, items: Sequence[bytes]) -> None:
    value = b"".join(items)
    seg[PER_FRAME] = RawDataElement(
        PER_FRAME, "SQ", len(value), value, 0, is_implicit_VR=False, is_little_endian=True
    )


class _Template:
    """What is the same for all segments at one place, and where a segment's number goes.

    It is the first of the Dimension Index Values, which end Frame Content, and, if there is more
    than one segment, the value of Segment Identification.
    """

    def __init__(self, groups: Dataset, encodings: Encodings) -> None:
        encoded = {tag: _encoded(groups[tag], encodings) for tag in sorted(groups.keys())}
        length = ITEM + struct.pack("<L", sum(map(len, encoded.values())))
        self.bytes = bytearray(length + b"".join(encoded.values()))
        self.numbers: list[tuple[struct.Struct, int]] = []
        end = len(length)
        for tag, value in encoded.items():
            end += len(value)
            if tag == CONTENT:
                self.numbers.append((UL, end - UL.size * len(_indices(groups))))
            elif tag == IDENTIFICATION:
                self.numbers.append((US, end - US.size))

    def of_segment(self, number: int) -> bytes:
        for kind, offset in self.numbers:
            kind.pack_into(self.bytes, offset, number)
        return bytes(self.bytes)


def _templates(
    seg: Dataset, planes: Sequence[SourcePlane], places: Sequence[int]
) -> Iterator[_Template]:
    (groups,) = seg.PerFrameFunctionalGroupsSequence
    encodings = encodings_of(seg)
    _settle(groups, encodings)
    for number, place in enumerate(places, 1):
        _put(groups, planes[place], number)
        yield _Template(groups, encodings)


def _put(groups: Dataset, plane: SourcePlane, number: int) -> None:
    if plane.has_place:
        groups.FrameContentSequence[0].DimensionIndexValues = [*_indices(groups)[:-1], number]
        position = [DSfloat(float(x), auto_format=True) for x in plane.position]
        groups.PlanePositionSequence[0].ImagePositionPatient = position
    source = groups.DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPClassUID = plane.header.SOPClassUID
    source.ReferencedSOPInstanceUID = plane.header.SOPInstanceUID
    if plane.frame_number is not None:
        source.ReferencedFrameNumber = plane.frame_number


def _indices(groups: Dataset) -> list[int]:
    values = groups.FrameContentSequence[0].DimensionIndexValues
    return [*values] if isinstance(values, MultiValue) else [values]


def _settle(item: Dataset, encodings: Encodings) -> None:
    """So that pydicom need not look for ambiguous VRs in it each time that it writes it."""
    item.set_original_encoding(False, True, encodings)
    for element in item:
        if element.VR == "SQ":
            for further in element.value:
                _settle(further, encodings)


def _encoded(element: DataElement, encodings: Encodings) -> bytes:
    """Explicit VR Little Endian, every length given."""
    with DicomBytesIO() as file:
        file.is_implicit_VR, file.is_little_endian = False, True
        write_data_element(file, element, encodings)
        return file.getvalue()
