"""Lesions that nobody has: bright ellipsoids with soft edges, drawn into real images."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial.transform import Rotation

Range = tuple[float, float]
SMALL_MM: Range = (6.0, 15.0)  # diameters: what is detected
LARGE_MM: Range = (18.0, 30.0)  # what whole heads are classified by
BRIGHTNESS = (2.2, 3.2)  # times the median of the brain; white matter is at about 1.2
APART_MM = 25.0  # between two centres, so that each is a finding of its own
EDGE_MM = 0.7  # over which the edge fades
DEEP_MM = 4.0  # between a centre and the edge of the brain

Box = tuple[slice, slice, slice]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """`center` (3,) and the rows of `half_axes` (3, 3) are LPS, mm; `value` is in image units."""

    center: NDArray[np.float64]
    half_axes: NDArray[np.float64]
    value: float

    @property
    def diameter(self) -> float:
        """Of a ball with the same volume, mm."""
        return float(2 * np.prod(np.linalg.norm(self.half_axes, axis=1)) ** (1 / 3))


def drawn(volume: hd.Volume, lesions: Sequence[Lesion]) -> hd.Volume:
    """The same images with the lesions in them."""
    array = np.array(volume.array, np.float32)
    for lesion in lesions:
        box, radius = radius_in(volume, lesion)
        inside = 1 / (1 + np.exp((radius - 1) * lesion.diameter / 2 / EDGE_MM))
        array[box] += (inside * (lesion.value - array[box])).astype(np.float32)
    return volume.with_array(array)


def radius_in(volume: hd.Volume, lesion: Lesion) -> tuple[Box, NDArray[np.float64]]:
    """A box of voxels around a lesion, and how far out each of them lies: 1 is the surface."""
    to_index = np.linalg.inv(volume.affine)
    center = to_index[:3, :3] @ lesion.center + to_index[:3, 3]
    reach = np.linalg.norm(lesion.half_axes, axis=1).max() * 2 + 2
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    low = np.clip(np.floor(center - reach / spacing), 0, volume.spatial_shape).astype(int)
    high = np.clip(np.ceil(center + reach / spacing) + 1, 0, volume.spatial_shape).astype(int)
    grid = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
    away = (grid - center) @ volume.affine[:3, :3].T
    lengths = np.linalg.norm(lesion.half_axes, axis=1)
    along = away @ (lesion.half_axes / lengths[:, None] ** 2).T
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    return box, np.linalg.norm(along, axis=-1)


def random_lesions(
    volume: hd.Volume,
    places: Indices,
    level: float,
    count: int,
    rng: np.random.Generator,
    diameter: Range = SMALL_MM,
) -> list[Lesion]:
    """`count` lesions at some of `places` (n, 3), fewer where there is no room for them.

    `level` is the median of the brain, in image units.
    """
    lesions: list[Lesion] = []
    for _ in range(20 * count):
        if len(lesions) == count or not len(places):
            break
        index = places[rng.integers(len(places))] + rng.uniform(-0.5, 0.5, 3)
        center = volume.affine[:3, :3] @ index + volume.affine[:3, 3]
        if all(np.linalg.norm(center - other.center) >= APART_MM for other in lesions):
            lesions.append(_random_lesion(center, level, diameter, rng))
    return lesions


def _random_lesion(
    center: NDArray[np.float64], level: float, diameter: Range, rng: np.random.Generator
) -> Lesion:
    low, high = diameter
    axes = np.clip(rng.uniform(low, high) * rng.uniform(0.8, 1.25, 3), low, high)
    turned = Rotation.random(rng=rng).as_matrix()
    value = level * float(rng.uniform(*BRIGHTNESS))
    return Lesion(center=center, half_axes=turned * axes[:, None] / 2, value=value)


def deep_places(volume: hd.Volume, brain: NDArray[np.bool_]) -> Indices:
    """Indices (n, 3) of the brain's voxels that are DEEP_MM away from its edge along each axis."""
    steps = np.maximum(1, np.round(DEEP_MM / np.asarray(volume.spacing))).astype(int)
    eroded = brain
    for axis, step in enumerate(steps):
        line = np.ones([3 if other == axis else 1 for other in range(3)], bool)
        eroded = binary_erosion(eroded, line, iterations=int(step))
    return np.argwhere(eroded)
