"""Segments that may overlap, in as few label maps as hold them all."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def layers(
    segments: Iterable[tuple[int, NDArray[np.bool_]]],
) -> list[NDArray[np.uint8]]:
    """uint8 segment numbers; each segment (number, where it is) lies whole in the first layer where
    it covers no other."""
    found: list[NDArray[np.uint8]] = []
    for number, inside in segments:
        free = next((layer for layer in found if not layer[inside].any()), None)
        if free is None:
            free = np.zeros(inside.shape, np.uint8)
            found.append(free)
        free[inside] = number
    return found
