"""What a presentation state draws on which frames: outlines of segments, boxes, points."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import ndimage

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.boundary import rings
from dicom_ai_node.encoders.marked.contours import halves
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.regions import drawing_of
from dicom_ai_node.encoders.marked.segments import PresentSegment
from dicom_ai_node.encoders.source.planes import SHOWN, source_planes
from dicom_ai_node.encoders.sr.groups import named_with_probability
from dicom_ai_node.result import Finding

MAX_FRAMES = 60
MAX_LINES = 200  # of one segment on one frame; the longest, where it has more
MAX_POINTS = 8000  # of two floats: 64 KB is all that Graphic Data can hold
REGION_COLOR = (255, 210, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One segment, or one finding that has a region: what is drawn of it has one colour."""

    number: int
    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Of one layer on one frame: closed lines, or a line of a single point, as (column, row) from
    the outer corner of the first pixel: PIXEL units are SCOORD's (PS3.3 C.10.5.1.2)."""

    header: Dataset
    frame_number: int | None
    layer: Layer
    name: str
    tracking_uid: str
    lines: Sequence[NDArray[np.float64]]

    @property
    def frame(self) -> tuple[str, int | None]:
        return str(self.header.SOPInstanceUID), self.frame_number


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A segment on one slice of its mask; `away` slices from the one where it is largest."""

    part: Marked
    present: PresentSegment
    layer: Layer
    index: int
    away: int

    @property
    def frame(self) -> tuple[str, int | None]:
        plane = self.part.mask.planes[self.index]
        return str(plane.header.SOPInstanceUID), plane.frame_number


def drawn(basis: Basis) -> list[Drawn]:
    """On MAX_FRAMES frames at most: those of boxes and points, then those of segments, nearest to
    where each is largest first. On a frame that is chosen, all that lies there is drawn."""
    if basis.result.outcome not in SHOWN:
        return []
    spots = list(_spots(basis))
    regions = list(_regions(basis, first=1 + len({spot.layer.number for spot in spots})))
    in_order = [region.frame for region in regions]
    in_order += [spot.frame for spot in sorted(spots, key=lambda spot: spot.away)]
    chosen = set(list(dict.fromkeys(in_order))[:MAX_FRAMES])
    outlined = (_outlined(spot, basis) for spot in spots if spot.frame in chosen)
    return [*outlined, *(region for region in regions if region.frame in chosen)]


def _spots(basis: Basis) -> Iterator[_Spot]:
    number = 0
    for part in basis.parts:
        for present in part.segments:
            number += 1
            segment = present.segment
            layer = Layer(number=number, name=segment.label, color=segment.color)
            largest = int(present.voxels.argmax())
            for index in np.flatnonzero(present.voxels).tolist():
                away = 0 if part.of_images else abs(index - largest)
                yield _Spot(part=part, present=present, layer=layer, index=index, away=away)


def _outlined(spot: _Spot, basis: Basis) -> Drawn:
    plane = spot.part.mask.planes[spot.index]
    number = spot.present.segment.number
    uid, name = spot.present.tracking_uid, spot.present.tracking_identifier
    image = str(plane.header.SOPInstanceUID) if spot.part.of_images else None
    if image is not None:
        uid = basis.follow_up.segment_uid(basis.run.ids, number, image)
    found = _finding(basis.result.findings, number, image)
    return Drawn(
        header=plane.header,
        frame_number=plane.frame_number,
        layer=spot.layer,
        name=named_with_probability(found) if found else name,
        tracking_uid=uid,
        lines=_lines(spot.part.mask.array[spot.index], number),
    )


def _finding(findings: Iterable[Finding], number: int, image: str | None) -> Finding | None:
    for finding in findings:
        if finding.segment_number == number and image in (None, finding.image):
            return finding
    return None


def _lines(image: NDArray[np.uint8], number: int) -> list[NDArray[np.float64]]:
    rows, columns = ndimage.find_objects(image, max_label=number)[number - 1]
    lines = _around(image[rows, columns] == number)
    longest = sorted(lines, key=len, reverse=True)[:MAX_LINES]
    corner = np.array((columns.start, rows.start), float)
    return [line + corner for line in longest]


def _around(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Of every piece and every hole, closed."""
    lines = [np.vstack([ring.corners, ring.corners[:1]]).astype(float) for ring in rings(mask)]
    if max(map(len, lines), default=0) <= MAX_POINTS:
        return lines
    return [line for half in halves(mask) for line in _around(half)]


def _regions(basis: Basis, first: int) -> Iterator[Drawn]:
    findings = basis.result.findings
    called = zip(findings, basis.follow_up.uids(findings, basis.run.ids), strict=True)
    placed = [
        (finding, finding.region, uid)
        for finding, uid in called
        if finding.segment_number is None and finding.region is not None
    ]
    planes = source_planes(basis.sources) if placed else []
    for number, (finding, region, uid) in enumerate(placed, first):
        drawing = drawing_of(region, basis.sources, planes)
        name = named_with_probability(finding)
        yield Drawn(
            header=drawing.header,
            frame_number=drawing.frame_number,
            layer=Layer(number=number, name=name, color=REGION_COLOR),
            name=name,
            tracking_uid=uid,
            lines=[drawing.points],
        )
