"""FRACTIONAL: a byte a pixel, for peers that take no other; what is in a segment is so wholly."""

from collections.abc import Sequence
from io import BytesIO

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

FRACTIONAL = hd.seg.SegmentationTypeValues.FRACTIONAL


def encode_fractional(part: Marked, header: Dataset, identity: Identity, *, whole: bool) -> Dataset:
    """Occupancy of nothing or MaximumFractionalValue: a Result has no probabilities of voxels."""
    seg = skeleton(part, header, identity, FRACTIONAL, whole=whole)
    places = places_of(part, whole=whole)
    frames = frames_of(part, places, whole=whole)
    set_groups_of_segments(seg, part.mask.planes, places, frames)
    set_pixels(seg, len(frames), _occupied(part.mask, frames, seg.MaximumFractionalValue))
    return seg


def _occupied(mask: SourceMask, frames: Sequence[Frame], whole: int) -> BytesIO:
    pixels = BytesIO()
    for segment, place in frames:
        inside = mask.array[place] == segment.segment.number
        pixels.write((inside * np.uint8(whole)).tobytes())
    return pixels
