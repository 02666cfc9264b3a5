"""LABELMAP (Label Map Segmentation, PS3.3 A.51.4): a frame has all segments of its slice."""

from collections.abc import Sequence
from io import BytesIO

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.seg.frames import set_pixels
from dicom_ai_node.encoders.seg.groups import set_groups_of_places
from dicom_ai_node.encoders.seg.places import places_of
from dicom_ai_node.encoders.seg.skeleton import skeleton

LABELMAP = hd.seg.SegmentationTypeValues.LABELMAP


def encode_labelmap(part: Marked, header: Dataset, identity: Identity, *, whole: bool) -> Dataset:
    """In its Segment Sequence, 0 ("Background") comes before the segments."""
    seg = skeleton(part, header, identity, LABELMAP, whole=whole)
    places = places_of(part, whole=whole)
    set_groups_of_places(seg, part.mask.planes, places)
    set_pixels(seg, len(places), _labels(part, places))
    return seg


def _labels(part: Marked, places: Sequence[int]) -> BytesIO:
    """With the numbers that segments have in the object."""
    numbers = np.zeros(256, np.uint8)
    for segment in part.segments:
        numbers[segment.segment.number] = segment.number
    pixels = BytesIO()
    for place in places:
        pixels.write(numbers[part.mask.array[place]].tobytes())  # a mask may lie the other way
    return pixels
