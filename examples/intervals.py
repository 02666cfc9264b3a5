"""Shares and areas, with the intervals in which they lie."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

_Z = 1.959964  # 95 %


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson's score)."""
    share, z2 = hits / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def area(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Under the ROC curve: how often a case with a lesion is above one without."""
    ranks = rankdata([*positive, *negative])[: len(positive)]
    above = ranks.sum() - len(positive) * (len(positive) + 1) / 2
    return float(above / (len(positive) * len(negative)))


def area_interval(
    positive: Sequence[float], negative: Sequence[float], seed: int = 0
) -> tuple[float, float]:
    """95 %, by drawing the cases again and again."""
    rng = np.random.default_rng(seed)
    drawn = [
        area(
            rng.choice(positive, len(positive)).tolist(),
            rng.choice(negative, len(negative)).tolist(),
        )
        for _ in range(1000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
