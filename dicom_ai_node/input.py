"""What a model is given: pixels that never travel without their geometry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.errors import InputError
from dicom_ai_node.result import MapKind
from dicom_ai_node.study import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionImage:
    """One radiograph, or a slice by itself: rows × columns of float32 that grow with brightness.

    Modality units (HU for CT), or P-values: what was stored inverted (MONOCHROME1) is put right.
    `pixel_spacing` is (row, column) in mm, None where the header does not say.
    """

    array: NDArray[np.float32]
    sop_instance_uid: str
    pixel_spacing: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """For a model that runs outside: the key of this patient's pseudonyms, and what is kept."""

    key: bytes = field(repr=False)
    keep: tuple[Literal["age", "sex", "size", "weight"], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """Headers of the source instances (no pixel data, in no particular order) and their pixels.

    `volume` is float32 in modality units (HU for CT), one channel; its affine maps voxel indices
    to the patient coordinate system (LPS, mm). Adapters resample as they like and bring the mask
    back with `mask.match_geometry(volume)`. A sheared stack (gantry tilt) comes straightened; the
    encoders bring the mask back to its slices. `others` are further inputs by name, on the grid
    of `volume`, and `evidence` are their headers. `instances` are the files behind them all, by the
    input's name, for a model that reads DICOM itself. `maps` are what the route asks for beside the
    answer; a model that cannot make one leaves it out. With `outside`, no file that is handed on
    may name the patient.
    """

    headers: Sequence[Dataset]
    volume: hd.Volume | None = None
    images: tuple[ProjectionImage, ...] = ()
    others: Mapping[str, hd.Volume] = field(default_factory=dict)
    evidence: Sequence[Dataset] = ()
    maps: frozenset[MapKind] = frozenset()
    instances: Mapping[str, Sequence[Instance]] = field(default_factory=dict)
    outside: Outside | None = None

    def needed_volume(self) -> hd.Volume:
        """The volume; InputError where the package asked for images instead."""
        if self.volume is None:
            raise InputError("This model needs a volume, and was given single images.")
        return self.volume
