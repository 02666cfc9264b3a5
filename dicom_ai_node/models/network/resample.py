"""The way back from `Spacing`, where the axes of both grids are the same.

MONAI samples at a point in the patient for each voxel, in float64: on a CT that takes seconds and
gigabytes. Axes that did not turn can be gone through one after the other, with the same result.
"""

from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.utils.enums import TraceKeys
from numpy.typing import NDArray

_PARALLEL = 1e-4  # voxels that an axis may drift for each step along another


def back_by_axes(values: MetaTensor) -> MetaTensor | None:
    """Undoes the last transform that was applied; None where that was something else."""
    applied = values.applied_operations[-1]
    how = applied[TraceKeys.EXTRA_INFO]
    if applied["class"] != "SpatialResample" or how["padding_mode"] != "border" or values.ndim != 4:
        return None
    there = np.asarray(how["src_affine"], np.float64)
    steps = np.linalg.inv(np.asarray(values.affine, np.float64)) @ there
    turned = steps[:3, :3] - np.diag(np.diag(steps)[:3])
    if np.abs(turned).max() > _PARALLEL or np.diag(steps)[:3].min() <= 0:
        return None
    size = applied[TraceKeys.ORIG_SIZE]
    nearest = how["mode"] == "nearest"
    found: NDArray[Any] = values.as_tensor().numpy()
    for axis in (2, 1, 0):  # numpy takes fastest along the last, so while there is least of it
        at = steps[axis, axis] * np.arange(size[axis]) + steps[axis, 3]
        found = _along(found, axis + 1, at, nearest=nearest)
    return MetaTensor(
        torch.from_numpy(found),
        affine=torch.from_numpy(there),
        applied_operations=values.applied_operations[:-1],
    )


def _along(
    values: NDArray[Any], axis: int, at: NDArray[np.float64], *, nearest: bool
) -> NDArray[Any]:
    """`values` at these indices of one axis; the border goes on outside."""
    last = values.shape[axis] - 1
    at = at.clip(0, last)
    if nearest:
        return values.take(at.round().astype(np.intp), axis)
    low = np.floor(at).clip(0, max(last - 1, 0)).astype(np.intp)
    shape = [-1 if each == axis else 1 for each in range(values.ndim)]
    weight = (at - low).astype(np.float32).reshape(shape)
    found = values.take((low + 1).clip(0, last), axis)
    found *= weight
    found += values.take(low, axis) * (1 - weight)
    return found
