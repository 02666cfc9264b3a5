"""How like the images are to those that a model knows: the distance of a few cheap features.

The distance is Mahalanobis's, from the mean of a sample that the package's author measured with
`statistics_of` and keeps in the package. Intensities count by their distribution only, not by their
unit: ranges of percentiles in the gate are for that.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.input_gate import sampled
from dicom_ai_node.models.pinned import read_pinned

LEAST_SAMPLES = 10  # fewer say nothing about how much images differ
_QUANTILES = (1, 25, 50, 75, 95, 99)
_BINS = 64
# in the order of `features`, in the words of a refusal
_OF_INTENSITIES = (
    *("its dark part", "its median", "its bright part", "its brightest part"),
    *("the spread of its values", "its sharpness"),
)
_OF_GRID = ("its finest spacing", "its middle spacing", "its coarsest spacing")
_OF_SIZE = ("its smallest extent", "its middle extent", "its largest extent")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownImages:
    """`limit` is the largest distance that still counts as alike."""

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]  # the inverse of the covariance
    limit: float

    def distance(self, values: NDArray[np.float64]) -> float:
        off = values - self.mean
        return math.sqrt(max(0.0, float(off @ self.precision @ off)))


def unlike(data: ModelInput, known: KnownImages, name: str) -> str | None:
    """Why the model does not know such images, or None."""
    for values in features_of(data):
        if values.shape != known.mean.shape:
            raise ModelError(f"{name} keeps statistics of another kind of input.")
        distance = known.distance(values)
        if not distance <= known.limit:
            # by the spread of each by itself: what a person would see first
            off = np.abs(values - known.mean) * np.sqrt(np.diag(known.precision))
            names = (*_OF_INTENSITIES, *_OF_GRID, *_OF_SIZE)
            return (
                f"The image is unlike those that {name} was made for, {names[int(off.argmax())]} "
                f"most of all (distance {distance:.1f}; the limit is {known.limit:.1f})."
            )
    return None


def features_of(data: ModelInput) -> list[NDArray[np.float64]]:
    """One vector for the volume, or one for each image."""
    if data.volume is not None:
        return [features(data.volume.array, data.volume.spacing)]
    return [features(image.array, None) for image in data.images]


def features(array: NDArray[np.float32], spacing: Sequence[float] | None) -> NDArray[np.float64]:
    """Of the distribution of values, of their gradient, and of a volume's grid; see the names."""
    values = np.nan_to_num(sampled(array)).astype(np.float64)
    low, dark, median, bright, brighter, high = np.percentile(values, _QUANTILES)
    scale = max(high - low, 1e-6)
    unit = np.clip((values - low) / scale, 0, 1)
    counts, _ = np.histogram(unit, bins=_BINS, range=(0, 1))
    share = counts[counts > 0] / counts.sum()
    slopes = [np.abs(np.diff(unit, axis=a)).mean() for a in range(unit.ndim) if unit.shape[a] > 1]
    found = [(each - low) / scale for each in (dark, median, bright, brighter)]
    found += [float(-(share * np.log(share)).sum()), float(np.mean(slopes)) if slopes else 0.0]
    if spacing is not None:
        extents = np.multiply(spacing, array.shape)
        found += [*np.log(np.sort(spacing)), *np.log(np.sort(extents))]
    return np.asarray(found, np.float64)


def statistics_of(inputs: Iterable[ModelInput], *, rarity: float = 1e-3) -> dict[str, Any]:
    """What a package keeps as its `gate.statistics`, as JSON: of at least ten inputs.

    The covariance is drawn towards its diagonal, the more so the fewer the samples; the limit is
    one that `rarity` of like images exceed, and no sample by itself does.
    """
    found = np.stack([each for data in inputs for each in features_of(data)])
    samples, size = found.shape
    if samples < LEAST_SAMPLES:
        raise ValueError(f"{samples} images are too few: give {LEAST_SAMPLES} or more")
    covariance = np.cov(found, rowvar=False)
    # a spread of less than 2 % (of a log) or of the scale is chance, not knowledge
    spread = np.diag(np.maximum(np.diag(covariance), 0.02**2))
    weight = size / (samples + size)
    drawn = (1 - weight) * covariance + weight * spread + 1e-6 * np.eye(size)
    mean = found.mean(axis=0)
    known = KnownImages(mean=mean, precision=np.linalg.inv(drawn), limit=0)
    farthest = max(known.distance(each) for each in found)
    usual = 2 * float(gammainccinv(size / 2, rarity))  # the quantile of chi squared
    limit = max(usual**0.5, 1.2 * farthest)
    return {
        "samples": samples,
        "mean": mean.round(6).tolist(),
        "covariance": drawn.round(9).tolist(),
        "limit": round(limit, 3),
    }


def known_images(installed: InstalledModel) -> KnownImages | None:
    """The statistics that the package keeps, where its gate names a file of them."""
    file = installed.package.gate.statistics
    if file is None:
        return None
    try:
        said = json.loads(read_pinned(installed, file))
        mean = np.asarray(said["mean"], np.float64)
        precision = np.linalg.inv(np.asarray(said["covariance"], np.float64))
        known = KnownImages(mean=mean, precision=precision, limit=float(said["limit"]))
        known.distance(mean)
    except (ValueError, KeyError, TypeError, np.linalg.LinAlgError) as error:
        raise ModelError(
            f"{file} of {installed.label} holds no statistics: write it with statistics_of"
        ) from error
    return known
