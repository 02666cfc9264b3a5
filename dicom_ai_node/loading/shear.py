"""A sheared stack (gantry tilt) on a straight grid: each slice is moved within its plane."""

import numpy as np
from numpy.typing import NDArray

_WHOLE = 1e-3  # of a pixel: less is no reason to blur a slice


def straightened(
    array: NDArray[np.float32], shifts: NDArray[np.float64], grown: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Linear between pixels; NaN where a slice does not reach.

    `shifts` (slices × 2, in pixels, never below 0) are where each slice's first pixel lies on the
    grid, whose rows and columns are `grown`.
    """
    straight = np.full((len(array), *grown), np.nan, np.float32)
    for plane, target, (down, right) in zip(array, straight, shifts, strict=True):
        moved = _moved(_moved(plane, down, axis=0), right, axis=1)
        target[: moved.shape[0], : moved.shape[1]] = moved[: grown[0], : grown[1]]
    return straight


def _moved(plane: NDArray[np.float32], shift: float, *, axis: int) -> NDArray[np.float32]:
    """Between two pixels one of which is padding, there is padding."""
    whole = int(np.floor(shift + _WHOLE))
    part = max(0.0, shift - whole)
    if part > _WHOLE:
        around = [(1, 1) if each == axis else (0, 0) for each in range(2)]
        padded = np.moveaxis(np.pad(plane, around, constant_values=np.nan), axis, 0)
        weight = np.float32(part)
        between = (1 - weight) * padded[1:] + weight * padded[:-1]
        plane = np.moveaxis(between, 0, axis)
    before = [(whole, 0) if each == axis else (0, 0) for each in range(2)]
    return np.pad(plane, before, constant_values=np.nan)
