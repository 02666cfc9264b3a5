"""The exact border of a mask on one slice: along the edges of its pixels, every piece and hole."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Corners = NDArray[np.int64]  # (column, row) each; 0, 0 is the outer corner of the first pixel

# of the four pixels around a corner (1 left above, 2 right above, 4 left below, 8 right below),
# which are marked: where the border turns, and where two borders touch
TURNS = np.isin(np.arange(16), (1, 2, 4, 8, 7, 11, 13, 14))
LEFT_ABOVE_AND_RIGHT_BELOW, RIGHT_ABOVE_AND_LEFT_BELOW = 9, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A closed polygon, its first corner not repeated: the border of a piece, which the piece lies
    to the right of (clockwise on the screen), or of a hole in it, counter-clockwise.

    `piece` counts them from 1. The first corner is the uppermost, and the leftmost of those.
    """

    corners: Corners
    piece: int
    is_hole: bool


def rings(mask: NDArray[np.bool_]) -> list[Ring]:
    """From top to bottom. Pixels that touch at a corner only are of two pieces, as in outline()."""
    down, right = _extent(np.any(mask, axis=1)), _extent(np.any(mask, axis=0))
    if down.stop == 0:
        return []
    cut = mask[down, right]
    pieces = np.pad(ndimage.label(cut)[0], 1)
    moved = np.array((right.start, down.start))
    found = []
    for corners in _loops(pieces > 0):
        column, row = corners[0]
        inside = int(pieces[row + 1, column + 1])
        found.append(
            Ring(
                corners=_turned(corners, clockwise=inside > 0) + moved,
                piece=inside or int(pieces[row, column + 1]),
                is_hole=inside == 0,
            )
        )
    return found


def _extent(found: NDArray[np.bool_] | np.bool_) -> slice:
    where = np.flatnonzero(found)
    return slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 0)


def _loops(padded: NDArray[np.bool_]) -> Iterator[Corners]:
    """Corners of the mask inside one pixel of padding, loop by loop.

    Along each row of corners, sorted, the first is joined to the second, the third to the fourth,
    and so on; along each column likewise. Where two pieces touch, the corner is there twice, each
    in the turn of its own piece.
    """
    bits = padded.astype(np.uint8)
    around = bits[:-1, :-1] + 2 * bits[:-1, 1:] + 4 * bits[1:, :-1] + 8 * bits[1:, 1:]
    falling = around == LEFT_ABOVE_AND_RIGHT_BELOW
    rising = around == RIGHT_ABOVE_AND_LEFT_BELOW
    once = np.argwhere(TURNS[around])
    twice = [np.argwhere(falling), np.argwhere(rising)]
    corners = np.concatenate([once, *twice, *twice])
    first, fall, rise = (np.zeros(len(each), int) for each in (once, *twice))
    in_row = np.concatenate([first, fall, rise, fall + 1, rise + 1])
    in_column = np.concatenate([first, fall, rise + 1, fall + 1, rise])
    by_row = np.lexsort((in_row, corners[:, 1], corners[:, 0]))
    beside = _pairs(by_row)
    below = _pairs(np.lexsort((in_column, corners[:, 0], corners[:, 1])))
    seen = bytearray(len(corners))
    for start in by_row.tolist():
        loop, at = [], start
        while not seen[at]:
            other = beside[at]
            seen[at] = seen[other] = 1
            loop += [at, other]
            at = below[other]
        if loop:
            yield corners[loop][:, ::-1]


def _pairs(order: NDArray[np.int64]) -> list[int]:
    """The other one of each pair, where pairs follow one another in this order."""
    partner = np.empty_like(order)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    return [*partner.tolist()]


def _turned(corners: Corners, *, clockwise: bool) -> Corners:
    """Loops begin along the upper edge, to the right: clockwise on a screen, rows downwards."""
    return corners if clockwise else np.concatenate([corners[:1], corners[:0:-1]])
