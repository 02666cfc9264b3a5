"""The slices that show what was found: each finding on the one where it lies best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import ndimage
from skimage.measure import find_contours

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.key_frames import KeyFrame, Where, key_frames
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.regions import Points
from dicom_ai_node.encoders.sr.groups import named_with_probability

MAX_KEY_SLICES = 10
REGION_COLOR = (255, 210, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Closed lines of (column, row) points, counted as in SCOORD; one of a single point is a place.

    `label` is empty for what lies on the slice and is not what it is shown for.
    """

    lines: Sequence[Points]
    color: tuple[int, int, int]
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySlice:
    """One frame of the source; `labels` are of the findings that it is shown for."""

    header: Dataset
    frame_number: int | None
    labels: Sequence[str]
    marks: Sequence[Mark]

    @property
    def where(self) -> Where:
        return str(self.header.SOPInstanceUID), self.frame_number


def key_slices(basis: Basis, limit: int = MAX_KEY_SLICES) -> list[KeySlice]:
    """In the order of the findings that they show first; none without findings."""
    frames: dict[Where, list[KeyFrame]] = {}
    for frame in key_frames(basis):
        frames.setdefault(frame.where, []).append(frame)
    return [_key_slice(several, basis.parts) for several in list(frames.values())[:limit]]


def _key_slice(frames: Sequence[KeyFrame], parts: Sequence[Marked]) -> KeySlice:
    first = frames[0]
    named = {
        frame.finding.segment_number: named_with_probability(frame.finding)
        for frame in frames
        if frame.drawing is None
    }
    marks = [mark for part in parts for mark in _outlines(part, first.where, named)]
    marks += [
        Mark(
            lines=[frame.drawing.points],
            color=REGION_COLOR,
            label=named_with_probability(frame.finding),
        )
        for frame in frames
        if frame.drawing is not None
    ]
    return KeySlice(
        header=first.header,
        frame_number=first.number,
        labels=[named_with_probability(frame.finding) for frame in frames],
        marks=marks,
    )


def _outlines(part: Marked, where: Where, named: dict[int | None, str]) -> Iterator[Mark]:
    """Of every segment on the slice: one that is not shown for itself is part of the picture."""
    for index, plane in enumerate(part.mask.planes):
        if (str(plane.header.SOPInstanceUID), plane.frame_number) != where:
            continue
        pixels = part.mask.array[index]
        boxes = ndimage.find_objects(pixels)
        for segment in part.segments:
            number = segment.segment.number
            if segment.voxels[index]:
                yield Mark(
                    lines=contours(pixels == number, boxes[number - 1]),
                    color=segment.segment.color,
                    label=named.get(number, ""),
                )


def contours(mask: NDArray[np.bool_], within: tuple[slice, slice]) -> list[Points]:
    """Around every piece and every hole, along the borders of the pixels."""
    piece = np.pad(mask[within], 1).astype(np.float32)
    corner = np.array([within[0].start, within[1].start]) - 1 + 0.5
    found = find_contours(piece, 0.5)  # type: ignore[no-untyped-call]
    return [(points + corner)[:, ::-1] for points in found]
