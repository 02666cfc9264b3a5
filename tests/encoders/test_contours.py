"""Contours with keyholes: each alone encloses its piece, and nothing else, by any filling rule."""

import numpy as np
import pytest

from dicom_ai_node.encoders.marked.contours import contours
from tests.encoders.test_boundary import masks, winding

MANY = 100_000


@pytest.mark.parametrize("name", masks())
@pytest.mark.parametrize("max_points", [MANY, 40])
def test_they_enclose_the_mask_whether_added_or_exclusive(name, max_points):
    mask = masks()[name]
    found = contours(mask, max_points)
    assert max(map(len, found), default=0) <= max_points
    turns = [winding([each], mask.shape) for each in found]
    assert all(set(np.unique(each)) <= {0, 1} for each in turns)
    assert np.array_equal(sum(turns, np.zeros(mask.shape, int)), mask)


def test_a_hole_costs_no_contour_of_its_own():
    (only,) = contours(masks()["frame"], MANY)
    assert only.tolist() == [
        *([0, 0], [2, 0], [2, 2], [2, 6], [7, 6], [7, 2], [2, 2], [2, 0]),
        *([9, 0], [9, 8], [0, 8]),
    ]


def test_steps_run_along_the_pixels_edges():
    for each in contours(masks()["blob with vessels"], MANY):
        steps = np.roll(each, -1, axis=0) - each
        assert (steps == 0).any(axis=1).all()
