"""Pieces of a mask as single polygons: a hole is joined to the border around it by a keyhole.

A channel without width (PS3.3 C.8.8.6.3): whether a reader adds the polygons of a slice up or takes
them as exclusive, and by whichever rule it fills them, it gets the mask back.
"""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.encoders.marked.boundary import Corners, Ring, rings


def contours(mask: NDArray[np.bool_], max_points: int) -> list[Corners]:
    """Of one slice, each (column, row) from the outer corner of the first pixel, not closed.

    What needs more points than that is cut in two, along the pixels' edges.
    """
    found = [
        _joined(list(piece))
        for _, piece in groupby(sorted(rings(mask), key=lambda ring: ring.piece), _piece)
    ]
    if max(map(len, found), default=0) <= max_points:
        return found
    return [each for half in halves(mask) for each in contours(half, max_points)]


def _piece(ring: Ring) -> int:
    return ring.piece


def halves(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of the part that is marked, across its longer side."""
    places = np.argwhere(mask)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    axis = int((high - low).argmax())
    before = np.expand_dims(np.arange(mask.shape[axis]) < (low + high)[axis] // 2, 1 - axis)
    return mask & before, mask & ~before


def _joined(piece: list[Ring]) -> Corners:
    """From the top of each hole straight up to the first border: all above it is joined already."""
    outer, *holes = sorted(piece, key=lambda ring: (ring.is_hole, ring.corners[0, 1]))
    polygon = outer.corners
    for hole in holes:
        column, row = hole.corners[0]
        ends = np.roll(polygon, -1, axis=0)
        low, high = np.minimum(polygon[:, 0], ends[:, 0]), np.maximum(polygon[:, 0], ends[:, 0])
        level = (polygon[:, 1] == ends[:, 1]) & (polygon[:, 1] < row)
        over = np.flatnonzero(level & (low <= column) & (column <= high))
        edge = over[polygon[over, 1].argmax()]
        door = [(column, polygon[edge, 1])]
        channel = np.concatenate([door, hole.corners, hole.corners[:1], door])
        polygon = np.insert(polygon, edge + 1, channel, axis=0)
    return polygon
