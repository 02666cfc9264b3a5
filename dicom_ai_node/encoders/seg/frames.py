"""Which frames a Segmentation has, each of one segment on one slice, or of all of them."""

from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from pydicom import DataElement, Dataset
from pydicom.tag import Tag

from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.segments import PresentSegment

PIXEL_DATA = Tag("PixelData")


@dataclass(frozen=True, slots=True)
class Place:
    """`index` is that of the slice in the mask; `groups` say where it lies, and on what."""

    index: int
    groups: Dataset


class Frame(NamedTuple):
    segment: PresentSegment
    place: Place


def places_of(seg: Dataset, part: Marked) -> list[Place]:
    """Of the skeleton's frames; the slice of each is the one that it names as its source."""
    index = {
        (str(plane.header.SOPInstanceUID), plane.frame_number): number
        for number, plane in enumerate(part.mask.planes)
    }
    found = []
    for groups in seg.PerFrameFunctionalGroupsSequence:
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        number = source.get("ReferencedFrameNumber")
        key = str(source.ReferencedSOPInstanceUID), None if number is None else int(number)
        found.append(Place(index[key], groups))
    return found


def frames_of(part: Marked, places: list[Place], *, keep_empty: bool) -> list[Frame]:
    """By segment, and within each by place: the order of their dimension index values."""
    return [
        Frame(segment, place)
        for segment in part.segments
        for place in places
        if keep_empty or segment.voxels[place.index]
    ]


def set_pixels(seg: Dataset, number: int, pixels: BytesIO) -> None:
    """Of this number of frames. They may be large, and are written from where they are."""
    seg.NumberOfFrames = number
    if pixels.tell() % 2:
        pixels.write(b"\0")
    pixels.seek(0)
    seg[PIXEL_DATA] = DataElement(PIXEL_DATA, "OB", pixels)
