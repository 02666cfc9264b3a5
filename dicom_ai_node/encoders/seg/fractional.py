"""FRACTIONAL: a byte a pixel, for peers that take no other; what is in a segment is so wholly."""

from collections.abc import Sequence
from io import BytesIO

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.seg.frames import Frame, frames_of, places_of, set_pixels
from dicom_ai_node.encoders.seg.groups import set_groups
from dicom_ai_node.encoders.seg.skeleton import skeleton
from dicom_ai_node.encoders.source.planes import SourceMask

FRACTIONAL = hd.seg.SegmentationTypeValues.FRACTIONAL


def encode_fractional(
    part: Marked, header: Dataset, identity: Identity, *, keep_empty_frames: bool = False
) -> Dataset:
    """Occupancy of nothing or MaximumFractionalValue: a Result has no probabilities of voxels."""
    seg = skeleton(part, header, identity, FRACTIONAL, keep_empty_frames=keep_empty_frames)
    frames = frames_of(part, places_of(seg, part), keep_empty=keep_empty_frames)
    set_groups(seg, frames)
    set_pixels(seg, len(frames), _occupied(part.mask, frames, seg.MaximumFractionalValue))
    return seg


def _occupied(mask: SourceMask, frames: Sequence[Frame], whole: int) -> BytesIO:
    pixels = BytesIO()
    for segment, place in frames:
        inside = mask.array[place.index] == segment.segment.number
        pixels.write((inside * np.uint8(whole)).data)
    return pixels
