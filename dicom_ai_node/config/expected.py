"""What a model must answer to the case that its package brings: `expected.json`, or `.yaml`."""

from typing import Annotated

from pydantic import Field

from dicom_ai_node.config.strict import Strict
from dicom_ai_node.job import Outcome

Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ExpectedMeasurement(Strict):
    """`finding` is its tracking identifier ("Brain 1") or the meaning of its code; `name` is the
    meaning of the measurement's code."""

    finding: str
    name: str
    value: Annotated[float, Field(allow_inf_nan=False)]
    tolerance: Tolerance = 0.0


class ExpectedProbability(Strict):
    """Of a finding, or by the meaning of its code of something that was not found."""

    finding: str
    value: Annotated[float, Field(ge=0, le=1)]
    tolerance: Tolerance = 0.0


class ExpectedPlace(Strict):
    """The centre of a finding's region in the patient (LPS, mm)."""

    finding: str
    center: tuple[float, float, float]
    tolerance: Tolerance = 1.0  # mm


class Expected(Strict):
    """`dice` is the least that each segment must reach against `mask.npz`, where there is one."""

    outcome: Outcome
    findings: Annotated[int, Field(ge=0)] | None = None  # how many
    measurements: tuple[ExpectedMeasurement, ...] = ()
    probabilities: tuple[ExpectedProbability, ...] = ()
    places: tuple[ExpectedPlace, ...] = ()
    dice: Annotated[float, Field(ge=0, le=1)] = 0.99
