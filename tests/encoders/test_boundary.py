"""Borders of masks: filled again, they are the mask, pixel for pixel, by either filling rule."""

import numpy as np
import pytest

from dicom_ai_node.encoders.marked.boundary import rings

SPECKLED = np.random.default_rng(6).random((40, 52)) < 0.5
FRAME = np.pad(np.zeros((4, 5), bool), 2, constant_values=True)


def masks():
    island = FRAME.copy()
    island[4, 4] = True
    corner_to_corner = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], bool)
    blob = np.hypot(*np.indices((60, 60)) - 29.5) < 25
    return {
        "one pixel": np.eye(1, 9, 4, dtype=bool),
        "whole image": np.ones((5, 7), bool),
        "frame": FRAME,
        "island in a frame": island,
        "corner to corner": corner_to_corner,
        "its negative": ~corner_to_corner,
        "speckled": SPECKLED,
        "blob with vessels": blob & ~(np.random.default_rng(7).random((60, 60)) < 0.05),
        "empty": np.zeros((4, 4), bool),
    }


def winding(polygons, shape):
    """How often the polygons go around each pixel's centre, clockwise on the screen."""
    rows, columns = np.indices(shape) + 0.5
    turns = np.zeros(shape, int)
    for points in polygons:
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y0 != y1:
                crossed = (np.minimum(y0, y1) < rows) & (rows < np.maximum(y0, y1))
                to_the_right = x0 + (rows - y0) * (x1 - x0) / (y1 - y0) > columns
                turns += np.where(crossed & to_the_right, 1 if y1 > y0 else -1, 0)
    return turns


@pytest.mark.parametrize("name", masks())
def test_filled_again_they_are_the_mask(name):
    mask = masks()[name]
    turns = winding([ring.corners for ring in rings(mask)], mask.shape)
    assert np.array_equal(turns == 1, mask)
    assert np.array_equal(turns % 2 == 1, mask)
    assert set(np.unique(turns)) <= {0, 1}


def test_only_corners_are_points():
    (outer, hole) = rings(FRAME)
    assert outer.corners.tolist() == [[0, 0], [9, 0], [9, 8], [0, 8]]
    assert hole.corners.tolist() == [[2, 2], [2, 6], [7, 6], [7, 2]]
    assert (outer.is_hole, hole.is_hole, outer.piece, hole.piece) == (False, True, 1, 1)


def test_pixels_that_touch_at_a_corner_are_pieces_of_their_own():
    assert len(rings(masks()["corner to corner"])) == 5
    assert [ring.is_hole for ring in rings(masks()["its negative"])] == [False] * 4


def test_a_hole_is_of_the_piece_around_it():
    pair = np.hstack([FRAME, np.zeros((8, 1), bool), FRAME])
    found = rings(pair)
    for hole in (ring for ring in found if ring.is_hole):
        (outer,) = (ring for ring in found if ring.piece == hole.piece and not ring.is_hole)
        assert (outer.corners.min(axis=0) < hole.corners.min(axis=0)).all()
        assert (outer.corners.max(axis=0) > hole.corners.max(axis=0)).all()
