"""`result.json`: what a program that is a model says beside its masks, or without any."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from dicom_ai_node.config.code import ConceptCode
from dicom_ai_node.config.outputs import Label, Probability
from dicom_ai_node.config.strict import Strict
from dicom_ai_node.laterality import Laterality

Point = tuple[FiniteFloat, FiniteFloat, FiniteFloat]  # LPS, mm


class AnswerMeasurement(Strict):
    name: ConceptCode
    value: FiniteFloat
    unit: ConceptCode  # UCUM


class AnswerBox(Strict):
    """Two opposite corners (LPS, mm), its edges along the axes of the patient."""

    low: Point
    high: Point


class AnswerFinding(Strict):
    """`segment` is one of the mask's, whose volume is measured anyway."""

    label: Label
    code: ConceptCode
    segment: Annotated[int, Field(ge=1, le=255)] | None = None
    box: AnswerBox | None = None
    site: ConceptCode | None = None
    laterality: Laterality | None = None  # of the site
    probability: Probability | None = None
    measurements: tuple[AnswerMeasurement, ...] = ()


class AnswerAssessment(Strict):
    """What was looked for, and was not found or could not be decided."""

    code: ConceptCode
    answer: Literal["absent", "undecided"] = "absent"
    probability: Probability | None = None


class ProgramAnswer(Strict):
    """`not_suitable` is a sentence for the radiologist, and then nothing else counts."""

    not_suitable: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    findings: tuple[AnswerFinding, ...] = ()
    assessments: tuple[AnswerAssessment, ...] = ()
