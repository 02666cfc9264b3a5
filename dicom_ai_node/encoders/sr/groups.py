"""What the groups of a TID 1500 report share, and those of the report as a whole."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.sr.status import STATUS, evaluations
from dicom_ai_node.errors import ModelError
from dicom_ai_node.result import Assessment, Finding, Measurement, Result

Group: TypeAlias = (
    sr.MeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)
PERCENT = Code("%", "UCUM", "percent")
REPLACES = "This report replaces an earlier one: images of the study came after that was made."
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")


def algorithm(run: Run) -> sr.AlgorithmIdentification:
    """TID 4019, which goes into every group."""
    return sr.AlgorithmIdentification(
        name=run.package.title,
        version=run.package.version,
        family=run.algorithm_family,
        manufacturer=MANUFACTURER,
        parameters=[f"{name}={value}" for name, value in run.parameters.items()],
    )


def status_section(
    result: Result, run: Run, more: Sequence[sr.ContentItem] = ()
) -> sr.ContainerContentItem:
    """TID 1500 row 12, beside findings: the outcome as a code, and in words for a text viewer.

    Not a measurement group: one without coordinates, and OHIF draws nothing of the whole report.
    `more` is what has no coordinates either.
    """
    headline = STATUS[result.outcome].headline
    section = sr.ContainerContentItem(
        name=QUALITATIVE_EVALUATIONS, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    section.ContentSequence = sr.ContentSequence(
        [
            *(item for each in evaluations(result.outcome, has_findings=True) for item in each),
            *more,
            *comments(headline, *_sentences(result, run)),
        ]
    )
    return section


def status_group(
    result: Result, run: Run, source: Dataset | None
) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501 with the same, without findings: Imaging Measurements cannot be empty."""
    headline = STATUS[result.outcome].headline
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(run.ids.uid("sr", "status"), headline),
        algorithm_id=algorithm(run),
        qualitative_evaluations=evaluations(result.outcome, has_findings=False),
        source_images=sources_of_group(source),
    )
    group[0].ContentSequence.extend(comments(*_sentences(result, run)))
    return group


def named_with_probability(finding: Finding) -> str:
    """The label that viewers show; "AI nodule 1 (93 %)" where the model says how sure it is."""
    name = finding.tracking_identifier
    if finding.probability is None:
        return name
    return f"{name if name.startswith('AI') else f'AI {name}'} ({percent(finding.probability)})"


def percent(probability: float) -> str:
    """Never 0 % or 100 % of what is neither."""
    whole = round(100 * probability)
    if whole in (0, 100) and probability not in (0, 1):
        return "< 1 %" if whole == 0 else "> 99 %"
    return f"{whole} %"


def measurements_of(finding: Finding) -> list[Measurement]:
    """The certainty first, where the model gave one and has not measured it itself."""
    measured = list(finding.measurements)
    certainty = codes.DCM.CertaintyOfFinding
    if finding.probability is None or certainty in [each.name for each in measured]:
        return measured
    value = round(100 * finding.probability, 1)
    return [Measurement(name=certainty, value=value, unit=PERCENT), *measured]


def as_items(measurements: Iterable[Measurement]) -> list[sr.Measurement]:
    """TID 300; ModelError for what is no number."""
    return [
        sr.Measurement(name=each.name, value=number_of(each), unit=each.unit)
        for each in measurements
    ]


def number_of(measurement: Measurement) -> float:
    if not math.isfinite(measurement.value):
        raise ModelError(f"The model measured no number: {measurement.name.meaning}.")
    return round(float(measurement.value), 3)


def _sentences(result: Result, run: Run) -> tuple[str, ...]:
    sentence = result.reason or STATUS[result.outcome].sentence
    replaces = (REPLACES,) if run.supersedes else ()
    return sentence, *replaces, run.package.intended_use


def comments(*sentences: str) -> list[sr.TextContentItem]:
    return [
        sr.TextContentItem(
            name=codes.DCM.Comment,
            value=sentence,
            relationship_type=sr.RelationshipTypeValues.CONTAINS,
        )
        for sentence in sentences
    ]


def sites_of(said: Finding | Assessment) -> list[sr.FindingSite] | None:
    return [sr.FindingSite(said.site)] if said.site else None


def sources_of_group(
    source: Dataset | None, frame_number: int | None = None
) -> list[sr.SourceImageForMeasurementGroup] | None:
    if source is None:
        return None
    frames = None if frame_number is None else [frame_number]
    return [sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID, frames)]
