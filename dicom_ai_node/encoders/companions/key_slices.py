"""The slices that show what was found: each finding on the one where it lies best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import ndimage
from skimage.measure import find_contours

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.marked import Marked, place_of
from dicom_ai_node.encoders.marked.regions import Drawing, Points, drawing_of
from dicom_ai_node.encoders.source.planes import SHOWN, source_planes
from dicom_ai_node.encoders.sr.groups import named_with_probability
from dicom_ai_node.result import BoxInPatient, Finding

MAX_KEY_SLICES = 10
REGION_COLOR = (255, 210, 60)

Where: TypeAlias = tuple[str, int | None]  # SOP Instance UID, and the number of a frame


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """Where one finding is to be shown; `drawing` where a region says it."""

    header: Dataset
    frame_number: int | None
    finding: Finding
    drawing: Drawing | None = None

    @property
    def where(self) -> Where:
        return str(self.header.SOPInstanceUID), self.frame_number


def key_slices(basis: Basis, limit: int = MAX_KEY_SLICES) -> list[KeySlice]:
    """In the order of the findings that they show first; none without findings."""
    spots: dict[Where, list[_Spot]] = {}
    for spot in _spots(basis):
        spots.setdefault(spot.where, []).append(spot)
    return [_key_slice(several, basis.parts) for several in list(spots.values())[:limit]]


def _spots(basis: Basis) -> Iterator[_Spot]:
    result = basis.result
    findings = result.findings if result.outcome in SHOWN else ()
    in_patient = any(isinstance(finding.region, BoxInPatient) for finding in findings)
    planes = source_planes(basis.sources) if in_patient else []
    by_uid = {str(source.SOPInstanceUID): source for source in basis.sources}
    for finding in findings:
        if finding.segment_number is not None:
            place = place_of(finding, basis.parts)
            if place is not None:
                plane = place.plane
                yield _Spot(header=plane.header, frame_number=plane.frame_number, finding=finding)
        elif finding.region is not None:
            drawing = drawing_of(finding.region, basis.sources, planes)
            header, number = drawing.header, drawing.frame_number
            yield _Spot(header=header, frame_number=number, finding=finding, drawing=drawing)
        elif finding.image in by_uid:
            yield _Spot(header=by_uid[finding.image], frame_number=None, finding=finding)


def _key_slice(spots: Sequence[_Spot], parts: Sequence[Marked]) -> KeySlice:
    first = spots[0]
    named = {
        spot.finding.segment_number: named_with_probability(spot.finding)
        for spot in spots
        if spot.drawing is None
    }
    marks = [mark for part in parts for mark in _outlines(part, first.where, named)]
    marks += [
        Mark(
            lines=[spot.drawing.points],
            color=REGION_COLOR,
            label=named_with_probability(spot.finding),
        )
        for spot in spots
        if spot.drawing is not None
    ]
    return KeySlice(
        header=first.header,
        frame_number=first.frame_number,
        labels=[named_with_probability(spot.finding) for spot in spots],
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
