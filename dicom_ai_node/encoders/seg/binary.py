"""BINARY: a bit a pixel, a frame for each segment and slice."""

from collections.abc import Sequence
from io import BytesIO
from math import gcd

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.seg.frames import Frame, frames_of, places_of, set_pixels
from dicom_ai_node.encoders.seg.groups import set_groups
from dicom_ai_node.encoders.seg.skeleton import skeleton
from dicom_ai_node.encoders.source.planes import SourceMask

BINARY = hd.seg.SegmentationTypeValues.BINARY


def encode_binary(
    part: Marked, header: Dataset, identity: Identity, *, keep_empty_frames: bool = False
) -> Dataset:
    """`header` is one of the source's as it was read."""
    seg = skeleton(part, header, identity, BINARY, keep_empty_frames=keep_empty_frames)
    frames = frames_of(part, places_of(seg, part), keep_empty=keep_empty_frames)
    set_groups(seg, frames)
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
            np.equal(mask.array[place.index], segment.segment.number, out=image)
        pixels.write(np.packbits(images[: len(some)], bitorder="little").data)
    return pixels
