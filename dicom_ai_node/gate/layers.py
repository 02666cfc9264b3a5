"""What a result holds, laid under the frames of an object by geometry (LPS, mm) alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Protocol, TypeAlias

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.gate.frames import Frame
from dicom_ai_node.result import ImageMask

Pixels: TypeAlias = NDArray[np.generic]
Place: TypeAlias = int | str  # a slice of a volume, an image

WITHIN_MM = 0.15  # a source's slices may lie so far aside of a straight volume
NEARLY_HALF = 0.01  # of a pixel: either of the two next to it is the nearest
STRAIGHT = 0.01  # of a step: 5 pixels at the far end of 512


class Layer(Protocol):
    """One mask or map of the result."""

    @property
    def size(self) -> int:
        """Voxels that are not background."""
        ...

    @property
    def numbers(self) -> frozenset[int]:
        """Of the segments that have any."""
        ...

    def under(self, frame: Frame, shape: tuple[int, int]) -> tuple[Place, list[Pixels]] | None:
        """Where the frame lies, and the pixels there; several where two are equally near."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class OfImage:
    mask: ImageMask

    @property
    def size(self) -> int:
        return int(np.count_nonzero(self.mask.array))

    @cached_property
    def numbers(self) -> frozenset[int]:
        return _numbers_in([self.mask.array])

    def under(self, frame: Frame, shape: tuple[int, int]) -> tuple[Place, list[Pixels]] | None:
        array, uid = self.mask.array, self.mask.sop_instance_uid
        return (uid, [array]) if uid == frame.source_uid and array.shape == shape else None


@dataclass(frozen=True, kw_only=True, eq=False)
class OfVolume:
    """Frames of one place are looked up once."""

    volume: hd.Volume
    found: dict[tuple[bytes, ...], tuple[int, list[tuple[int, int]]] | None] = field(
        default_factory=dict
    )

    @property
    def size(self) -> int:
        return int(np.count_nonzero(self.volume.array))

    @cached_property
    def numbers(self) -> frozenset[int]:
        return _numbers_in(self.volume.array)

    def under(self, frame: Frame, shape: tuple[int, int]) -> tuple[Place, list[Pixels]] | None:
        key = (frame.position, frame.orientation, frame.spacing)
        if key not in self.found:
            self.found[key] = self._place(frame)
        place = self.found[key]
        if place is None:
            return None
        index, corners = place
        rows, columns = shape
        cuts = [self.volume.array[index, r : r + rows, c : c + columns] for r, c in corners]
        return index, [cut for cut in cuts if cut.shape == shape]

    def _place(self, frame: Frame) -> tuple[int, list[tuple[int, int]]] | None:
        """The slice, and the row and column of the frame's first pixel in it; None beside it."""
        position, turn = numbers(frame.position), numbers(frame.orientation)
        spacing = numbers(frame.spacing)
        if (len(position), len(turn), len(spacing)) != (3, 6, 2):
            return None
        inverse = np.linalg.inv(self.volume.affine)
        # down a column comes the next row: its direction is the second of Image Orientation
        steps = inverse[:3, :3] @ np.array([turn[3:] * spacing[0], turn[:3] * spacing[1]]).T
        index, row, column = inverse[:3, :3] @ position + inverse[:3, 3]
        is_straight = np.abs(steps.T - [[0, 1, 0], [0, 0, 1]]).max() <= STRAIGHT
        if not is_straight or not -0.5 < index < len(self.volume.array) - 0.5:
            return None
        rows, columns = _nearest(row, spacing[0]), _nearest(column, spacing[1])
        return round(index), [(r, c) for r, c in product(rows, columns) if r >= 0 <= c]


def _numbers_in(slices: Iterable[NDArray[np.generic]]) -> frozenset[int]:
    """A slice at a time, since bincount makes eight bytes of each voxel."""
    counts = sum(np.bincount(each.ravel(), minlength=256) for each in slices if each.any())
    return frozenset(int(number) for number in np.flatnonzero(counts) if number)


def _nearest(at: float, step_mm: float) -> set[int]:
    aside = {0} if abs(at) * step_mm <= WITHIN_MM else set()
    return {round(at - NEARLY_HALF), round(at + NEARLY_HALF), *aside}


def numbers(content: bytes) -> NDArray[np.float64]:
    """The values of a decimal string; none where it holds something else."""
    try:
        return np.array([float(part) for part in content.rstrip(b"\0 ").split(b"\\")])
    except ValueError:
        return np.empty(0)


def layers_of(masks: Sequence[hd.Volume], images: Sequence[ImageMask]) -> list[Layer]:
    return [
        *(OfVolume(volume=volume) for volume in masks),
        *(OfImage(mask=mask) for mask in images if mask.array.any()),
    ]
