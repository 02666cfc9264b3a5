"""What a model found: masks with their geometry, segments, findings, and the outcome."""

from dataclasses import dataclass

import highdicom as hd
from pydicom.sr.coding import Code

from dicom_ai_node.job import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One label of the mask; `category` from CID 7150, `type` from CID 7151 ff."""

    number: int
    label: str
    category: Code
    type: Code
    color: tuple[int, int, int] = (230, 60, 60)  # RGB


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    name: Code
    value: float
    unit: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the report speaks of; located by a segment of the mask when it has a number.

    `tracking_identifier` is for people ("Brain volume"), and its UID is derived from the job.
    """

    tracking_identifier: str
    code: Code
    segment_number: int | None = None
    site: Code | None = None
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`mask` holds segment numbers (0 is background), uint8, in exactly the source's geometry.

    `reason` says in one sentence why there are no findings where the outcome is not `findings`.
    """

    outcome: Outcome
    reason: str | None = None
    mask: hd.Volume | None = None
    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def not_suitable(cls, reason: str) -> "Result":
        return cls(outcome=Outcome.NOT_SUITABLE, reason=reason)

    @classmethod
    def failed(cls, reason: str) -> "Result":
        return cls(outcome=Outcome.FAILED, reason=reason)
