"""The functional groups of thousands of frames that differ in a few numbers: written as bytes.

They are the same elements that pydicom would write, a template's, with those numbers put in.
"""

import struct
from collections.abc import Sequence

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from dicom_ai_node.encoders.seg.frames import Frame
from dicom_ai_node.encoders.source.headers import Encodings, encodings_of

PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
CONTENT = Tag("FrameContentSequence")
IDENTIFICATION = Tag("SegmentIdentificationSequence")
ITEM = b"\xfe\xff\x00\xe0"
UL, US = struct.Struct("<L"), struct.Struct("<H")


def set_groups(seg: Dataset, frames: Sequence[Frame]) -> None:
    """Of each frame those of its place, with the number of its segment."""
    encodings = encodings_of(seg)
    templates: dict[int, _Template] = {}
    items = []
    for segment, place in frames:
        template = templates.get(place.index)
        if template is None:
            template = templates[place.index] = _Template(place.groups, encodings)
        items.append(template.item(segment.number))
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
                indices = groups.FrameContentSequence[0].DimensionIndexValues
                count = len(indices) if isinstance(indices, MultiValue) else 1
                self.numbers.append((UL, end - count * UL.size))
            elif tag == IDENTIFICATION:
                self.numbers.append((US, end - US.size))

    def item(self, segment_number: int) -> bytes:
        for kind, offset in self.numbers:
            kind.pack_into(self.bytes, offset, segment_number)
        return bytes(self.bytes)


def _encoded(element: DataElement, encodings: Encodings) -> bytes:
    """Explicit VR Little Endian, every length given."""
    with DicomBytesIO() as file:
        file.is_implicit_VR, file.is_little_endian = False, True
        write_data_element(file, element, encodings)
        return file.getvalue()
