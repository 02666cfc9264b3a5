"""The frames of a Segmentation in which each is of one segment."""

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

from pydicom import DataElement, Dataset
from pydicom.tag import Tag

from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.segments import PresentSegment

PIXEL_DATA = Tag("PixelData")


class Frame(NamedTuple):
    """`place` is the index of the slice in the mask."""

    segment: PresentSegment
    place: int


def frames_of(part: Marked, places: Sequence[int], *, whole: bool) -> list[Frame]:
    """By segment, and within each by place: the order of their dimension index values."""
    return [
        Frame(segment, place)
        for segment in part.segments
        for place in places
        if whole or segment.voxels[place]
    ]


def set_pixels(seg: Dataset, number: int, pixels: BytesIO) -> None:
    """Of this number of frames. They may be large, and are written from where they are."""
    seg.NumberOfFrames = number
    if pixels.tell() % 2:
        pixels.write(b"\0")
    pixels.seek(0)
    seg[PIXEL_DATA] = DataElement(PIXEL_DATA, "OB", pixels)
