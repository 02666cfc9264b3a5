"""The segments that really have voxels, and what they are called in every object of the run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.encoders.follow_up import NOTHING_EARLIER, FollowUp
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.source.planes import SourceMask
from dicom_ai_node.errors import ModelError
from dicom_ai_node.result import Result, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentSegment:
    """`number` counts from 1 without gaps, as a BINARY SEG wants it (PS3.3 C.8.20.2.3).

    `voxels` are counts per slice of the mask. The tracking pair is the same in SEG and SR.
    """

    number: int
    segment: Segment
    voxels: NDArray[np.int64]
    tracking_identifier: str
    tracking_uid: str


def present_segments(
    result: Result,
    mask: SourceMask,
    ids: DerivedIds,
    image: str | None = None,
    follow_up: FollowUp = NOTHING_EARLIER,
) -> list[PresentSegment]:
    """In the order of the model's numbers; `image` is the first one where the mask is of single
    images: segments of the same number on different images are different things."""
    counts = _voxels(mask.array)
    numbers = [int(number) for number in np.flatnonzero(counts.sum(axis=0)) if number]
    described = {segment.number: segment for segment in result.segments}
    unknown = set(numbers) - set(described)
    if unknown:
        raise ModelError(f"The mask holds segments that are not described: {sorted(unknown)}.")
    return [
        PresentSegment(
            number=index,
            segment=described[number],
            voxels=counts[:, number],
            tracking_identifier=_tracking_identifier(result, described[number]),
            tracking_uid=follow_up.segment_uid(ids, number, image),
        )
        for index, number in enumerate(numbers, 1)
    ]


def _tracking_identifier(result: Result, segment: Segment) -> str:
    names = [f.tracking_identifier for f in result.findings if f.segment_number == segment.number]
    return names[0] if names else segment.label


def _voxels(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts[slice, number]; a slice at a time, and of that no more than holds all segments, since
    bincount makes eight bytes of each voxel."""
    counts = np.zeros((len(mask), 256), np.int64)
    for index, image in enumerate(mask):
        (columns,) = image.max(axis=0).nonzero()
        if len(columns):
            (rows,) = image.any(axis=1).nonzero()
            inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            counts[index] = np.bincount(inside.ravel(), minlength=256)
    counts[:, 0] = 0
    return counts
