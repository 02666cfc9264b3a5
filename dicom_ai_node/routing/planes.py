"""Where the slices of a series lie (LPS, mm): directions, positions, and which of them repeat."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.study import Values

KEYWORDS = frozenset({"ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames"})
SAME_MM = 1e-3  # nearer than that is the same position
_UNIT = 1e-2  # how far cosines may be from unit length and from a right angle
_SAME_ORIENTATION = 1e-2  # in each cosine
_PARALLEL = 0.9998  # cosine of one degree
_NAMES = ("sagittal", "coronal", "axial")

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]
_Near = Callable[[Floats, Floats], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """One row a slice: cosines of row and column (6), and the centre of the first pixel (3)."""

    orientations: Floats
    positions: Floats

    def normals(self) -> Floats:
        return np.cross(self.orientations[:, :3], self.orientations[:, 3:])

    def along(self) -> Floats:
        """The positions on the normal of the first slice."""
        first: Floats = self.positions @ self.normals()[0]
        return first

    def subset(self, rows: Sequence[int]) -> "Planes":
        return Planes(orientations=self.orientations[rows], positions=self.positions[rows])


def planes_of(headers: Sequence[Mapping[str, Values]]) -> Planes | None:
    """None unless each header has one plane: finite numbers, two unit vectors at a right angle."""
    if any(header.get("NumberOfFrames", (1,)) != (1,) for header in headers):
        return None  # the planes of a multi-frame object are in its functional groups
    try:
        found = Planes(
            orientations=np.array([each["ImageOrientationPatient"] for each in headers], float),
            positions=np.array([each["ImagePositionPatient"] for each in headers], float),
        )
    except (KeyError, ValueError):
        return None
    count = len(headers)
    if found.orientations.shape != (count, 6) or found.positions.shape != (count, 3):
        return None
    if not (np.isfinite(found.orientations).all() and np.isfinite(found.positions).all()):
        return None
    rows, columns = found.orientations[:, :3], found.orientations[:, 3:]
    lengths = np.linalg.norm([rows, columns], axis=2)
    leaning = np.abs((rows * columns).sum(axis=1))
    return found if np.abs(lengths - 1).max() < _UNIT and leaning.max() < _UNIT else None


def plane_name(normal: Floats) -> str:
    """The plane that the normal stands on, within 37 degrees; else oblique."""
    axis = int(np.abs(normal).argmax())
    return _NAMES[axis] if abs(normal[axis]) > 0.8 else "oblique"


def orientation_labels(planes: Planes) -> Labels:
    """A number for each slice; slices of one orientation have the same."""

    def near(rows: Floats, row: Floats) -> NDArray[np.bool_]:
        close: NDArray[np.bool_] = np.abs(rows - row).max(axis=1) < _SAME_ORIENTATION
        return close

    return _labels(planes.orientations, near)


def direction_labels(planes: Planes) -> Labels:
    """The same for slices that are parallel, however they are turned within their planes."""

    def parallel(rows: Floats, row: Floats) -> NDArray[np.bool_]:
        close: NDArray[np.bool_] = np.abs(rows @ row) > _PARALLEL
        return close

    return _labels(planes.normals(), parallel)


def _labels(rows: Floats, near: _Near) -> Labels:
    """The smallest row that has no label begins the next: independent of the order of the rows."""
    labels = np.full(len(rows), -1, np.intp)
    order = np.lexsort(rows.T[::-1])
    for label in range(len(rows)):
        left = order[labels[order] < 0]
        if not len(left):
            break
        labels[left[near(rows[left], rows[left[0]])]] = label
        labels[left[0]] = label
    return labels


def distinct(along: Floats) -> Labels:
    """A number for each position: from 0 upwards, the same for positions that repeat."""
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order]) > SAME_MM
    numbers = np.empty(len(along), np.intp)
    numbers[order] = np.concatenate([[0], np.cumsum(steps)])
    return numbers
