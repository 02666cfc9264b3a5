"""BINARY: a bit a pixel, a frame for each segment and slice."""

from collections.abc import Sequence
from io import BytesIO
from math import gcd

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.seg.frames import Frame, frames_of, set_pixels
from dicom_ai_node.encoders.seg.groups import set_groups_of_segments
from dicom_ai_node.encoders.seg.places import places_of
from dicom_ai_node.encoders.seg.skeleton import skeleton
from dicom_ai_node.encoders.source.planes import SourceMask

BINARY = hd.seg.SegmentationTypeValues.BINARY


def encode_binary(part: Marked, header: Dataset, identity: Identity, *, whole: bool) -> Dataset:
    """`header` is one of the source's as it was read; `whole` if it gets frames without voxels."""
    seg = skeleton(part, header, identity, BINARY, whole=whole)
    places = places_of(part, whole=whole)
    frames = frames_of(part, places, whole=whole)
    set_groups_of_segments(seg, part.mask.planes, places, frames)
    set_pixels(seg, len(frames), _packed(part.mask, frames))
    return seg


def _packed(mask: SourceMask, frames: Sequence[Frame]) -> BytesIO:
    """As many frames at a time as fill whole bytes: bits run on from one to the next, the first
    pixel in the lowest (PS3.5 8.1.1)."""
    shape = mask.array.shape[1:]
    together = 8 // gcd(8, shape[0] * shape[1])
    images = np.empty((together, *shape), bool)
    pixels = BytesIO()
    for first in range(0, len(frames), together):
        some = frames[first : first + together]
        for image, (segment, place) in zip(images, some, strict=False):
            np.equal(mask.array[place], segment.segment.number, out=image)
        pixels.write(np.packbits(images[: len(some)], bitorder="little").data)
    return pixels
