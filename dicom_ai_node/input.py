"""What a model is given: pixels that never travel without their geometry."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
from pydicom import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """Headers of the source instances (no pixel data, in no particular order) and their pixels.

    `volume` is float32 in modality units (HU for CT), one channel; its affine maps voxel indices
    to the patient coordinate system (LPS, mm). Adapters resample as they like and bring the mask
    back with `mask.match_geometry(volume)`.
    """

    headers: Sequence[Dataset]
    volume: hd.Volume
