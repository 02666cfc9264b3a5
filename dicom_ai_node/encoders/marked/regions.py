"""Where a finding's region is drawn: coordinates on one frame of the source (PS3.3 C.18.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydicom import Dataset
from scipy.spatial import ConvexHull

from dicom_ai_node.encoders.source.planes import SourcePlane
from dicom_ai_node.errors import ModelError
from dicom_ai_node.result import BoxInImage, BoxInPatient, Region

Points = NDArray[np.float64]

HALF_PIXEL = 0.5  # SCOORD counts from the corner of the first pixel
MEASURABLE = 1e-6  # mm, or pixels: what is smaller is nothing
CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))
EDGES = [(a, b) for a, b in combinations(range(8), 2) if (CORNERS[a] != CORNERS[b]).sum() == 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """`points` are (column, row) on the frame: a closed polygon, or a single one."""

    header: Dataset
    frame_number: int | None
    points: Points

    @property
    def is_point(self) -> bool:
        return len(self.points) == 1


def drawing_of(
    region: Region, headers: Sequence[Dataset], planes: Sequence[SourcePlane]
) -> Drawing:
    """ModelError for a region that lies outside of the images, or nowhere."""
    if isinstance(region, BoxInImage):
        _check_numbers(region.low, region.high)
        return _in_image(region, headers)
    _check_numbers(region.center, *region.half_axes)
    return _in_patient(region, planes)


def _check_numbers(*places: ArrayLike) -> None:
    if not all(np.isfinite(place).all() for place in places):
        raise ModelError("A finding lies at a place that is not a number.")


def _in_image(box: BoxInImage, headers: Sequence[Dataset]) -> Drawing:
    found = [ds for ds in headers if str(ds.SOPInstanceUID) == box.sop_instance_uid]
    if not found:
        raise ModelError("A finding lies on an image that was not analysed.")
    (left, top), (right, bottom) = box.low, box.high
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)
    points = corners[:1] if np.ptp(corners, axis=0).max() < MEASURABLE else corners
    return Drawing(header=found[0], frame_number=None, points=_within(points, found[0]))


def _in_patient(box: BoxInPatient, planes: Sequence[SourcePlane]) -> Drawing:
    """On the slice nearest to the centre: the box's cut with it.

    A box that is thinner than the slices are apart may lie between two of them: then its cut
    through the centre is drawn on the nearer one.
    """
    if not planes:
        raise ModelError("A finding lies in the patient, and the images do not say where they lie.")
    axes = np.array([plane.rows_and_columns for plane in planes])
    normals = np.cross(axes[:, 0], axes[:, 1])
    away = box.center - np.array([plane.position for plane in planes])
    heights = (away * normals).sum(axis=1)
    nearest = int(np.abs(heights).argmin())
    plane, normal = planes[nearest], normals[nearest]
    corners = box.center + CORNERS @ box.half_axes
    height = (corners - plane.position) @ normal
    if height.min() > MEASURABLE or height.max() < -MEASURABLE:
        if np.abs(heights).min() > _gap(heights):
            raise ModelError("A finding lies outside of the images.")
        height = (corners - box.center) @ normal
    cut = _on_plane(_cut(corners, height), plane)
    points = _around(cut) if len(cut) > 2 else None
    if points is None:
        points = _on_plane(box.center[None], plane)
    return Drawing(
        header=plane.header,
        frame_number=plane.frame_number,
        points=_within(points, plane.header),
    )


def _gap(heights: Points) -> float:
    """The widest way from slice to slice; of a single slice nobody knows."""
    return float(np.diff(np.sort(heights)).max()) if len(heights) > 1 else np.inf


def _cut(corners: Points, height: Points) -> Points:
    """Where a plane meets the edges of a box; `height` is how far above it each corner lies."""
    points = [
        corner for corner, above in zip(corners, height, strict=True) if abs(above) <= MEASURABLE
    ]
    for a, b in EDGES:
        if min(height[a], height[b]) < -MEASURABLE and max(height[a], height[b]) > MEASURABLE:
            part = height[a] / (height[a] - height[b])
            points.append(corners[a] + part * (corners[b] - corners[a]))
    return np.array(points).reshape(-1, 3)


def _on_plane(points: Points, plane: SourcePlane) -> Points:
    """(column, row) of points in the patient, seen along the plane's normal."""
    row_mm, column_mm = _spacing(plane)
    way = (points - plane.position) @ plane.rows_and_columns.T
    return np.asarray(way / (column_mm, row_mm) + HALF_PIXEL)


def _spacing(plane: SourcePlane) -> tuple[float, float]:
    header = plane.header
    if plane.frame_number is None:
        measures = header
    else:
        groups = header.PerFrameFunctionalGroupsSequence[plane.frame_number - 1]
        shared = header.SharedFunctionalGroupsSequence[0]
        measures = (groups if "PixelMeasuresSequence" in groups else shared).PixelMeasuresSequence[
            0
        ]
    row_mm, column_mm = measures.PixelSpacing
    return float(row_mm), float(column_mm)


def _around(points: Points) -> Points | None:
    """The corners of the polygon around them, one after the other; None where they span no area."""
    across = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if across[1] < MEASURABLE:
        return None
    return np.asarray(points[ConvexHull(points).vertices])


def _within(points: Points, header: Dataset) -> Points:
    """The part of a convex polygon that lies on the image, closed; viewers draw no other.

    Side after side, what lies beyond is cut off (Sutherland and Hodgman).
    """
    corner = float(header.Columns), float(header.Rows)
    for axis, size in enumerate(corner):
        points = _cut_off(points, points[:, axis])
        points = _cut_off(points, size - points[:, axis])
    if not len(points):
        raise ModelError("A finding lies outside of the image that it is on.")
    points = points.clip(0, corner)  # where a cut is a rounding beyond the edge
    return points if len(points) == 1 else np.vstack([points, points[:1]])


def _cut_off(points: Points, inside: Points) -> Points:
    """The polygon without what has a negative `inside`, which grows evenly along each edge."""
    kept = []
    for k in range(len(points)):
        before = k - 1  # of the first it is the last
        if (inside[k] < 0) != (inside[before] < 0):
            part = inside[k] / (inside[k] - inside[before])
            kept.append(points[k] + part * (points[before] - points[k]))
        if inside[k] >= 0:
            kept.append(points[k])
    return np.array(kept).reshape(-1, 2)
