"""What a network is trained on: a head on the network's grid, with lesions or without."""

from collections.abc import Sequence
from dataclasses import replace

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.models.network.prepare import prepared
from dicom_ai_node.models.network.steps import transforms_of
from examples.lesions import LARGE_MM, Lesion, drawn, radius_in, random_lesions
from examples.sources import Head, given, head_of

Array = NDArray[np.float32]
PATCH = 32  # voxels, of 2 mm
PART = 20  # voxels, of 4 mm


def on_grid(head: Head, package: NetworkPackage) -> Head:
    """By the very steps that the package names; the brain without those that change values."""
    steps = transforms_of(package.preprocess)
    moving = [step for step in package.preprocess if "Intensity" not in step.name]
    image = prepared(given(head.volume), package.inputs, steps)
    mask = head.volume.with_array(head.brain.astype(np.float32))
    brain = prepared(given(mask), package.inputs, transforms_of(moving))
    volume = type(head.volume)(
        array=image.tensor[0].numpy(), affine=image.affine, coordinate_system="PATIENT"
    )
    return head_of(head.name, volume, brain.tensor[0].numpy() > 0.5)


def whole(head: Head, rng: np.random.Generator) -> tuple[Array, float]:
    """A head that has one to three large lesions as often as none, and whether it has."""
    count = int(rng.integers(1, 4)) if rng.random() < 0.5 else 0
    lesions = random_lesions(head.volume, head.places, head.level, count, rng, LARGE_MM)
    flips = flips_of(rng)
    array = np.array(drawn(head.volume, lesions).array, np.float32)
    return np.ascontiguousarray(varied(array, rng)[flips]), float(bool(lesions))


def part(head: Head, rng: np.random.Generator) -> tuple[Array, float]:
    """A piece of a head that has a large lesion or none, to learn from before whole heads."""
    piece = _piece(head, PART, rng)
    count = int(rng.integers(0, 2))
    lesions = random_lesions(piece.volume, piece.places, piece.level, count, rng, LARGE_MM)
    array = np.array(drawn(piece.volume, lesions).array, np.float32)
    return np.ascontiguousarray(varied(array, rng)[flips_of(rng)]), float(bool(lesions))


def patch(head: Head, rng: np.random.Generator, inside: float = 0.8) -> tuple[Array, Array]:
    """A piece of a head, and its heat map: 1 in the middle of a lesion, 0.5 on its surface.

    `inside` is the share of pieces around a place in the brain.
    """
    piece = _piece(head, PATCH, rng, inside)
    count = int(rng.integers(0, 4))
    lesions = random_lesions(piece.volume, piece.places, piece.level, count, rng)
    array = np.array(drawn(piece.volume, lesions).array, np.float32)
    flips = flips_of(rng)
    pair = varied(array, rng)[flips], heat(piece.volume, lesions)[flips]
    return np.ascontiguousarray(pair[0]), np.ascontiguousarray(pair[1])


def patch_anywhere(head: Head, rng: np.random.Generator) -> tuple[Array, Array]:
    """The same, with more of what is bright and no lesion: scalp, neck, marrow."""
    return patch(head, rng, inside=0.4)


def heat(volume: hd.Volume, lesions: Sequence[Lesion]) -> Array:
    """What the network should answer, on the grid of `volume`."""
    array = np.zeros(volume.spatial_shape, np.float32)
    for lesion in lesions:
        box, radius = radius_in(volume, lesion)
        array[box] = np.maximum(array[box], np.exp2(-(radius**2)))
    return array


def flips_of(rng: np.random.Generator) -> tuple[slice, ...]:
    return tuple(slice(None, None, int(step)) for step in rng.choice([-1, 1], 3))


def varied(array: Array, rng: np.random.Generator) -> Array:
    """As other scanners might have shown it: gain, gamma, shading, texture, blur and noise."""
    shape = array.shape
    if rng.random() < 0.3:
        texture = gaussian_filter(rng.standard_normal(shape, np.float32), rng.uniform(0.8, 2.0))
        strength = rng.uniform(0, 0.2) / max(float(texture.std()), 1e-6)
        array = array * (1 + texture * np.float32(strength))
    if rng.random() < 0.2:
        array = gaussian_filter(array, rng.uniform(0, 0.8))
    ways = (np.linspace(-1, 1, size) * rng.uniform(-0.2, 0.2) for size in shape)
    shade = sum(way.reshape(np.roll([-1, 1, 1], axis)) for axis, way in enumerate(ways))
    gain = np.asarray((1 + shade) * rng.uniform(0.8, 1.25), np.float32)
    array = np.maximum(array, 0) ** np.float32(rng.uniform(0.8, 1.25)) * gain
    noise = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0, 0.04))
    return np.asarray(array + noise, np.float32)


def _piece(head: Head, size: int, rng: np.random.Generator, inside: float = 0.8) -> Head:
    """Around a place in the brain, or now and then around any voxel."""
    shape = np.asarray(head.volume.spatial_shape)
    if rng.random() < inside:
        center = head.places[rng.integers(len(head.places))]
    else:
        center = rng.integers(0, shape)
    low = np.clip(center - size // 2, 0, np.maximum(shape - size, 0))
    high = np.minimum(low + size, shape)
    within = ((head.places >= low) & (head.places < high)).all(axis=1)
    x, y, z = (slice(int(first), int(last)) for first, last in zip(low, high, strict=True))
    where = (x, y, z)
    inner = head.places[within] - low
    return replace(head, volume=head.volume[where], brain=head.brain[where], places=inner)
