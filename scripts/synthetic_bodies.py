"""Bodies drawn from ellipsoids, for known answers and tests where no real data can be shipped.

Volumes are in the order left, posterior, head (indices grow that way), LPS, mm; the centre of the
body is at the origin. The left side always differs from the right one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Point = tuple[float, float, float]

AIR, FAT, SOFT, LUNG, GAS, BONE, TABLE = -1000, -90, 40, -850, -990, 700, -300  # HU


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """`truth` holds what a model should find: in a thorax 1 for the left lung, 2 for the right."""

    array: NDArray[np.int16]
    affine: NDArray[np.float64]  # LPS
    truth: NDArray[np.uint8]

    def ml(self, number: int) -> float:
        voxel = abs(float(np.linalg.det(self.affine[:3, :3])))
        return float(np.count_nonzero(self.truth == number)) * voxel / 1000


class Canvas:
    """A grid in the patient's space, to draw on; everything is scaled by `size`."""

    def __init__(self, extent: Point, spacing: Point, size: float) -> None:
        self.shape = tuple(round(e * size / s) for e, s in zip(extent, spacing, strict=True))
        self.affine = np.diag([*spacing, 1.0])
        first = [-(n - 1) / 2 * s for n, s in zip(self.shape, spacing, strict=True)]
        self.affine[:3, 3] = first
        axes = [f + s * np.arange(n) for f, s, n in zip(first, spacing, self.shape, strict=True)]
        self.x, self.y, self.z = (each / size for each in np.meshgrid(*axes, indexing="ij"))

    def ellipsoid(self, center: Point, radii: Point) -> Array:
        offsets = zip((self.x, self.y, self.z), center, radii, strict=True)
        inside: Array = sum(((at - c) / r) ** 2 for at, c, r in offsets) <= 1
        return inside

    def tube(self, start: Point, end: Point, radius: float) -> Array:
        a, way = np.array(start), np.subtract(end, start)
        off = [at - c for at, c in zip((self.x, self.y, self.z), a, strict=True)]
        along = sum(o * w for o, w in zip(off, way, strict=True)) / float(way @ way)
        along = np.clip(along, 0, 1)
        inside: Array = (
            sum((o - along * w) ** 2 for o, w in zip(off, way, strict=True)) <= radius**2
        )
        return inside


def thorax(
    *,
    spacing: Point = (2.5, 2.5, 5.0),
    size: float = 1.0,
    left: bool = True,
    right: bool = True,
    touching: bool = False,
    noise: float = 0.0,
    cut: tuple[float, float] = (-150, 150),
) -> Body:
    """A chest with table, heart, trachea, bronchi and vessels; `cut` are the scan's ends in mm.

    An adult's is of size 1; where lungs touch, they do so in front of the heart.
    """
    canvas = Canvas((400, 300, 300), spacing, size)
    values = np.full(canvas.shape, AIR, np.float32)
    truth = np.zeros(canvas.shape, np.uint8)
    x, y = canvas.x, canvas.y
    trunk = (x / 170) ** 2 + (y / 115) ** 2 <= 1
    inner = (x / 158) ** 2 + (y / 103) ** 2 <= 1
    values[trunk], values[inner] = FAT, SOFT
    values[(np.abs(y - 125) < 6) & (np.abs(x) < 190)] = TABLE
    values[canvas.tube((0, 80, -200), (0, 80, 200), 16)] = BONE
    inward = 12 if touching else 0
    lungs = ((1, left, (72.0 - inward, 0.0, 0.0), (58.0, 78.0, 110.0)),
             (2, right, (-76.0 + inward, 0.0, 5.0), (66.0, 82.0, 118.0)))  # fmt: skip
    heart = canvas.ellipsoid((25, -15 if not touching else 5, -50), (48, 42, 55))
    for number, there, center, radii in lungs:
        if there:
            inside = canvas.ellipsoid(center, radii) & ~heart
            values[inside], truth[inside] = LUNG, number
            if number == 2:  # an emphysema
                values[canvas.ellipsoid((-85, -20, 60), (22, 22, 25)) & inside] = -972
            _vessels(canvas, values, inside, center)
    _airways(canvas, values, truth, left=left, right=right)
    if noise:
        values += np.random.default_rng(5).normal(0, noise, values.shape)
    kept = slice(*(round((end * size - canvas.affine[2, 3]) / spacing[2]) for end in cut))
    kept = slice(max(0, kept.start), kept.stop)
    affine = canvas.affine.copy()
    affine[2, 3] += kept.start * spacing[2]
    array = np.rint(values[:, :, kept]).clip(-1024, 3071).astype(np.int16)
    return Body(array=array, affine=affine, truth=truth[:, :, kept])


def abdomen(spacing: Point = (2.5, 2.5, 5.0)) -> Body:
    """Soft tissue with gas in the stomach and stool in the colon; no lung."""
    canvas = Canvas((400, 300, 300), spacing, 1)
    values = np.full(canvas.shape, AIR, np.float32)
    trunk = (canvas.x / 170) ** 2 + (canvas.y / 115) ** 2 <= 1
    values[trunk] = SOFT
    values[canvas.ellipsoid((60, -50, 60), (40, 25, 30))] = GAS
    values[canvas.tube((-120, -20, -100), (-120, -20, 60), 20)] = -600
    values[canvas.tube((-120, -20, 60), (0, -60, 60), 15)] = GAS
    return Body(
        array=np.rint(values).astype(np.int16),
        affine=canvas.affine,
        truth=np.zeros(canvas.shape, np.uint8),
    )


def _vessels(canvas: Canvas, values: Array, inside: Array, center: Point) -> None:
    root = (0.45 * center[0], 10.0, 0.0)
    for up, front in ((60, 20), (30, -45), (-20, 30), (-60, -10), (-50, 40)):
        end = (center[0] * 1.1, float(front), float(up))
        values[canvas.tube(root, end, 3.0) & inside] = SOFT


def _airways(canvas: Canvas, values: Array, truth: Array, *, left: bool, right: bool) -> None:
    carina = (0.0, 20.0, 40.0)
    tubes = [((0.0, 20.0, 200.0), carina, 9.0)]
    tubes += [(carina, (40.0, 20.0, 0.0), 7.0)] if left else []
    tubes += [(carina, (-40.0, 20.0, 10.0), 7.5)] if right else []
    for start, end, radius in tubes:
        wall = canvas.tube(start, end, radius + 3)
        values[wall], truth[wall] = SOFT, 0
    for start, end, radius in tubes:
        values[canvas.tube(start, end, radius)] = GAS


def head(spacing: Point = (3.0, 3.0, 3.0)) -> Body:
    """A head as T1-weighted MR shows it: fat bright, bone and liquor dark, white matter brighter
    than grey. Nobody's anatomy; enough like one for a network to find its brain."""
    canvas = Canvas((190, 230, 220), spacing, 1)
    y, z = canvas.y, canvas.z
    values = np.zeros(canvas.shape, np.float32)
    values[
        canvas.ellipsoid((0, 0, 0), (82, 102, 100)) | canvas.tube((0, 10, -60), (0, 20, -160), 52)
    ] = 620
    values[
        canvas.ellipsoid((0, 0, 1), (77, 97, 95)) | canvas.tube((0, 10, -60), (0, 20, -160), 45)
    ] = 330
    skull = canvas.ellipsoid((0, 0, 12), (74, 93, 80))
    values[skull] = 60
    inside = canvas.ellipsoid((0, 0, 12), (69, 88, 75))
    values[inside] = 130
    cerebrum = canvas.ellipsoid((0, -2, 18), (66, 84, 66)) & (z > -38)
    cerebellum = canvas.ellipsoid((0, 45, -42), (46, 30, 24))
    stem = canvas.tube((0, 18, -10), (0, 26, -75), 12)
    ripple = np.sin(canvas.x / 5) * np.sin(y / 5) * np.sin(z / 5)
    white = canvas.ellipsoid((0, -2, 18), (58, 76, 58)) & (z > -32)
    values[cerebrum] = 360
    values[white & (ripple > -0.25)] = 500
    values[cerebellum], values[stem] = 390, 470
    values[
        canvas.ellipsoid((12, 0, 22), (7, 32, 10)) | canvas.ellipsoid((-12, 0, 22), (7, 30, 10))
    ] = 130
    values[(np.abs(canvas.x) < 2) & cerebrum & (z > 25)] = 130
    for side in (-32, 32):
        values[canvas.ellipsoid((side, -78, -22), (12, 12, 12))] = 150
    truth = (cerebrum | cerebellum | stem).astype(np.uint8)
    return Body(array=np.rint(values).astype(np.int16), affine=canvas.affine, truth=truth)


def radiograph(*, left: bool = True, right: bool = True, mirrored: bool = False) -> Array:
    """A chest seen from the front, 1.25 mm a pixel, brighter where more is in the way (int16).

    The patient's left is on the image's right, or mirrored on its left.
    """
    canvas = Canvas((400, 300, 380), (2.5, 2.5, 2.5), 1)
    x, y, z = canvas.x, canvas.y, canvas.z
    density = np.zeros(canvas.shape, np.float32)
    density[(x / 175) ** 2 + (y / 115) ** 2 <= 1] = 0.9
    density[(np.abs(x) > 120) & (z > 110) & (np.abs(x) + z > 270)] = 0
    lungs = (
        (left, (74.0, 0.0, 10.0), (56.0, 85.0, 125.0)),
        (right, (-78.0, 0.0, 15.0), (62.0, 88.0, 130.0)),
    )
    aerated = np.zeros(canvas.shape, bool)
    for there, center, radii in lungs:
        dome = canvas.ellipsoid((center[0], 0, -125), (80, 110, 55))
        if there:
            aerated |= canvas.ellipsoid(center, radii) & ~dome
    aerated &= ~canvas.ellipsoid((30, -20, -45), (55, 50, 62))
    density[aerated] = 0.22
    density[canvas.tube((0, 80, -250), (0, 80, 250), 17)] = 1.8
    density[canvas.tube((0, 20, 250), (0, 20, 40), 9)] = 0.1
    for height in range(-110, 150, 26):
        shell = (np.abs((x / 150) ** 2 + (y / 102) ** 2 - 1) < 0.09) & (
            np.abs(z - height + 0.35 * y) < 5
        )
        density[shell] = 1.6
    for side in (-1, 1):
        density[canvas.tube((side * 15, -60, 118), (side * 150, -10, 145), 6)] = 1.7
    depth = density.sum(axis=1) * 2.5 / 230
    image = np.flip(depth.T, axis=0)  # the head at the top; columns grow towards the left
    image = image[:, ::-1] if mirrored else image
    image = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    return np.rint(4000 * (1 - np.exp(-1.4 * image))).astype(np.int16)
