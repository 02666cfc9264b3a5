"""What a model found: masks with their geometry, segments, findings, and the outcome."""

import enum
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.coding import Code

from dicom_ai_node.job import Outcome
from dicom_ai_node.laterality import Laterality


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One label of a mask; `category` from CID 7150, `type` from CID 7151 ff."""

    number: int
    label: str
    category: Code
    type: Code
    color: tuple[int, int, int] = (230, 60, 60)  # RGB
    laterality: Laterality | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMask:
    """Segment numbers on one single image: uint8, its rows × columns."""

    sop_instance_uid: str
    array: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    name: Code
    value: float
    unit: Code


def rounded(value: float) -> float:
    """As reports have a number: to three decimals, and what is less than 1 to three digits that
    count, for a volume of a few small voxels is not 0 mL."""
    return round(value, 3) if abs(value) >= 1 else float(f"{value:.3g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxInPatient:
    """A box, turned as it may be: its centre, and from there the way to three of its faces.

    LPS, mm: `center` is (3,), each row of `half_axes` (3, 3) is one half edge. A point is a box
    whose half axes are zero.
    """

    center: NDArray[np.float64]
    half_axes: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxInImage:
    """On one image: (column, row) of two opposite corners, from the corner of the first pixel.

    The centre of the first pixel is at (0.5, 0.5), as in SCOORD (PS3.3 C.18.6.1.1). A point is a
    box whose corners coincide.
    """

    sop_instance_uid: str
    low: tuple[float, float]
    high: tuple[float, float]


Region = BoxInPatient | BoxInImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the report speaks of; located by a segment of a mask, by a region, or not at all.

    `tracking_identifier` is for people ("Brain volume"), and its UID is derived from the job.
    `probability` is from 0 to 1, as the model gives it. `image` is the SOP Instance UID of the one
    image that it was seen on, where the model looks at images one by one.
    """

    tracking_identifier: str
    code: Code
    segment_number: int | None = None
    region: Region | None = None
    image: str | None = None
    probability: float | None = None
    site: Code | None = None
    laterality: Laterality | None = None
    measurements: tuple[Measurement, ...] = ()


class Answer(enum.StrEnum):
    ABSENT = "absent"
    UNDECIDED = "undecided"  # not sure enough, by the package's own limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the model was asked for and did not find, or could not decide; findings are Findings."""

    code: Code
    answer: Answer
    probability: float | None = None
    site: Code | None = None
    laterality: Laterality | None = None
    image: str | None = None


class MapKind(enum.StrEnum):
    SALIENCY = "saliency"  # what the answer was drawn from; 0 to 1
    UNCERTAINTY = "uncertainty"  # spread of the probability; 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultMap:
    """One number for each voxel (float32, in exactly the source's geometry): for research."""

    kind: MapKind
    label: str
    volume: hd.Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Each of `masks` holds segment numbers (0 is background), uint8, in exactly the source's
    geometry; segments that overlap lie in different ones. `image_masks` are those of single images.

    `reason` says in one sentence why there are no findings where the outcome is not `findings`.
    """

    outcome: Outcome
    reason: str | None = None
    masks: tuple[hd.Volume, ...] = ()
    image_masks: tuple[ImageMask, ...] = ()
    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    maps: tuple[ResultMap, ...] = ()

    @classmethod
    def not_suitable(cls, reason: str) -> "Result":
        return cls(outcome=Outcome.NOT_SUITABLE, reason=reason)

    @classmethod
    def failed(cls, reason: str) -> "Result":
        return cls(outcome=Outcome.FAILED, reason=reason)
