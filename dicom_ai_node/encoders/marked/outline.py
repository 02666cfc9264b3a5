"""The outline of a mask on one slice, for viewers that draw coordinates and not segments."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

MAX_POINTS = 400
FLAT = 1e-6  # pixels²


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of one slice; pixels that touch at a corner only are apart, as find_contours sees them."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    return np.asarray(labels == 1 + np.bincount(labels.ravel())[1:].argmax())


def outline(component: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A closed polygon of (column, row) points around one component, holes left aside.

    SCOORD counts from the corner of the first pixel, so its centre is at 0.5 (PS3.3 C.18.6.1.1).
    """
    contours = find_contours(np.pad(component, 1).astype(np.float32), 0.5)  # type: ignore[no-untyped-call]
    points = _corners(max(contours, key=_area))
    tolerance = 0.1
    while len(points) > MAX_POINTS:
        tolerance *= 2
        points = approximate_polygon(points, tolerance)  # type: ignore[no-untyped-call]
    return np.asarray(points[:, ::-1] - 1 + 0.5, np.float64)


def _corners(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without those between two others on one straight line."""
    steps = np.diff(points, axis=0)
    turns = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    is_corner = np.concatenate([[True], np.abs(turns) > FLAT, [True]])
    return np.asarray(points[is_corner])


def _area(points: NDArray[np.float64]) -> float:
    """Shoelace formula."""
    y, x = points.T
    return float(abs(np.dot(y[:-1], x[1:]) - np.dot(x[:-1], y[1:])) / 2)
