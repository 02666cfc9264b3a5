"""Where the lungs are in a chest CT, on a coarse grid: inside the body, without airways and bowel.

Arrays are in the order head, posterior, left ("HPL": indices grow that way), so that an axial slice
is `array[z]` and the patient's left has the larger last index, however the images were stored.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]
Mask = NDArray[np.bool_]

LEFT, RIGHT = 1, 2
AIR = -400.0  # HU; less than this is aerated
GAS = -965.0  # HU; a region whose median is below is bowel gas or free air, not lung
SMALLEST_ML = 5.0
SMALLEST_SHARE = 0.05  # of the largest region; smaller ones are bowel, bronchi, oesophagus
TRACHEA_CM2 = (0.3, 7.0)  # in one slice
TRACHEA_SLICES = 3  # one above the other
AIRWAY_HU = (-880.0, -900.0, -920.0, -940.0, -960.0)
CUT_SHARE = 0.25  # of the largest slice of lung; a first slice with more has cut the lungs
AIRWAYS_ML = 90.0  # a tree larger than this has leaked into the lung

_FACE = ndimage.generate_binary_structure(3, 1)
_IN_SLICE = _FACE & np.array([False, True, False])[:, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse:
    """HU on the coarse grid; `spacing` (mm) in its order."""

    values: Array
    spacing: tuple[float, ...]

    def ml(self, voxels: int) -> float:
        return voxels * float(np.prod(self.spacing)) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """`sides` holds LEFT and RIGHT where the lungs are, zeros where there are none."""

    sides: NDArray[np.uint8]
    airways: Mask
    body: Mask  # lungs and airways included

    @property
    def share_of_body(self) -> float:
        """Of the slice in which lung fills the most of the body."""
        body = self.body.sum(axis=(1, 2))
        lung = ((self.sides > 0) & self.body).sum(axis=(1, 2))
        return float((lung / np.maximum(body, 1)).max())

    @property
    def cut_at_the_top(self) -> bool:
        """Whether the scan begins below the tops of the lungs."""
        areas = np.count_nonzero(self.sides, axis=(1, 2))
        return bool(areas[-1] > CUT_SHARE * areas.max())


def anatomy(coarse: Coarse) -> Anatomy:
    inside, body = inside_air(coarse.values)
    tree = airways(coarse, inside, body)
    regions = _lung_regions(coarse, inside & ~tree)
    sides = np.zeros(regions.shape, np.uint8)
    middle = _middle(body, regions > 0)
    for number in range(1, int(regions.max()) + 1):
        for part in apart(regions == number, coarse.spacing, middle):
            left = float(np.nonzero(part)[2].mean()) > middle
            sides[part] = LEFT if left else RIGHT
    return Anatomy(sides=sides, airways=tree, body=body)


def inside_air(values: Array) -> tuple[Mask, Mask]:
    """Aerated voxels that no slice connects with its edge, and the body around them.

    Slice by slice, for at the ends of a scan the lungs themselves are open.
    """
    low = values < AIR
    labels, count = ndimage.label(low, structure=_IN_SLICE)
    outside = np.zeros(count + 1, bool)
    for border in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        outside[np.unique(border)] = True
    outside[0] = False
    around = outside[labels]
    body = _largest(ndimage.binary_opening(~around, _IN_SLICE, iterations=2))
    low &= ~around
    low &= ndimage.binary_dilation(body, _IN_SLICE, iterations=2)
    inside: Mask = low
    return inside, body


def airways(coarse: Coarse, inside: Mask, body: Mask) -> Mask:
    """The trachea and the bronchi that can be followed from it; nothing where there is none.

    The darkest limit at which the tree has not leaked into the lung is taken, and its walls, which
    a coarse voxel mixes with the air, are added.
    """
    found = np.zeros(inside.shape, bool)
    seed = _trachea(coarse, inside, body)
    if seed is None:
        return found
    for limit in AIRWAY_HU:
        labels, _ = ndimage.label(inside & (coarse.values < limit), structure=_FACE)
        wanted = np.unique(labels[seed & (labels > 0)])
        tree = np.isin(labels, wanted[wanted > 0])
        if tree.any() and coarse.ml(int(tree.sum())) <= AIRWAYS_ML:
            found = tree
            break
    found |= seed
    walled: Mask = ndimage.binary_dilation(found, _IN_SLICE) & inside
    return walled


def apart(region: Mask, spacing: tuple[float, ...], middle: float) -> list[Mask]:
    """Both lungs where they touch (in front of the heart, or behind it), else the region itself.

    Eroded until two large parts fall to both sides of the body's middle; each voxel then belongs to
    the nearer one.
    """
    columns = np.nonzero(region)[2]
    share = float((columns > middle).mean())
    if not 0.15 < share < 0.85:
        return [region]
    depth = ndimage.distance_transform_edt(region, sampling=spacing)
    for limit in np.arange(0.5, 30, 1.5):
        labels, count = ndimage.label(depth > limit, structure=_FACE)
        if count < 2:
            continue
        sizes = np.bincount(labels.reshape(-1))[1:]
        first, second = (int(each) + 1 for each in np.argsort(sizes)[:-3:-1])
        if sizes[second - 1] < 0.2 * sizes[first - 1]:
            continue
        centers = [float(np.nonzero(labels == each)[2].mean()) for each in (first, second)]
        if not min(centers) < middle < max(centers):
            continue
        marks = np.where((labels == first) | (labels == second), labels, 0)
        nearest = ndimage.distance_transform_edt(
            marks == 0, sampling=spacing, return_distances=False, return_indices=True
        )
        owner = marks[tuple(nearest)]
        return [region & (owner == each) for each in (first, second)]
    return [region]


def _lung_regions(coarse: Coarse, inside: Mask) -> NDArray[np.int32]:
    labels, count = ndimage.label(inside, structure=_FACE)
    kept = np.zeros(labels.shape, np.int32)
    sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    medians = ndimage.median(coarse.values, labels, range(count + 1)) if count else [0.0]
    candidates = [
        number
        for number in np.argsort(sizes)[::-1]
        if coarse.ml(int(sizes[number])) >= SMALLEST_ML and medians[number] > GAS
    ]
    for new, number in enumerate(candidates, start=1):
        if sizes[number] >= SMALLEST_SHARE * sizes[candidates[0]]:
            kept[labels == number] = new
    return kept


def _trachea(coarse: Coarse, inside: Mask, body: Mask) -> Mask | None:
    """From the top, the first round gas in the middle of the body that goes on downwards."""
    area = coarse.spacing[1] * coarse.spacing[2] / 100  # cm² of one voxel
    dark = inside & (coarse.values < AIRWAY_HU[0] + 80)
    chain: list[Mask] = []
    for z in range(len(dark) - 1, -1, -1):
        columns = np.nonzero(body[z].any(axis=0))[0]
        if not columns.size:
            continue
        near = 0.15 * (columns[-1] - columns[0])
        middle = (columns[-1] + columns[0]) / 2
        labels, count = ndimage.label(dark[z])
        best = None
        for number in range(1, count + 1):
            spot = labels == number
            size = float(spot.sum()) * area
            off = abs(float(np.nonzero(spot)[1].mean()) - middle)
            follows = not chain or bool((spot & chain[-1]).any())
            if TRACHEA_CM2[0] <= size <= TRACHEA_CM2[1] and off <= near and follows:
                best = spot if best is None or spot.sum() > best.sum() else best
        if best is not None:
            chain.append(best)
            top = z + len(chain) - 1
            if len(chain) == TRACHEA_SLICES:
                seed = np.zeros(inside.shape, bool)
                for step, spot in enumerate(chain):
                    seed[top - step] = spot
                return seed
        else:
            chain = []
    return None


def _middle(body: Mask, near: Mask) -> float:
    """The body's middle, in columns, in the slices where there is lung."""
    slices = near.any(axis=(1, 2))
    columns = np.nonzero(body[slices].any(axis=(0, 1)))[0]
    return float(columns[0] + columns[-1]) / 2 if columns.size else body.shape[2] / 2


def _largest(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask, structure=_FACE)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    largest: Mask = labels == sizes.argmax()
    return largest
