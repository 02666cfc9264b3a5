"""What has no place in the images: findings of the whole, and what was looked for in vain.

A group each (TID 1501) in a report without coordinates. Beside coordinates each is an item of the
qualitative evaluations instead: OHIF draws nothing of a report in which a group has none.
"""

from collections.abc import Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.sr.groups import (
    Group,
    algorithm,
    as_items,
    comments,
    measurements_of,
    named_with_probability,
    number_of,
    percent,
    sites_of,
    sources_of_group,
)
from dicom_ai_node.result import Answer, Assessment, Finding

ANSWERS = {
    Answer.ABSENT: Code("2667000", "SCT", "Absent"),
    Answer.UNDECIDED: Code("82334004", "SCT", "Indeterminate"),
}
SOURCE = Code("260753009", "SCT", "Source")
HAS_PROPERTIES = sr.RelationshipTypeValues.HAS_PROPERTIES


def finding_group(finding: Finding, image: Dataset | None, tracking_uid: str, run: Run) -> Group:
    """TID 1501: what was found and measured, and how sure the model is."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(tracking_uid, named_with_probability(finding)),
        finding_type=finding.code,
        finding_sites=sites_of(finding),
        algorithm_id=algorithm(run),
        source_images=sources_of_group(image),
        measurements=as_items(measurements_of(finding)),
    )


def assessment_group(assessment: Assessment, image: Dataset | None, run: Run) -> Group:
    """TID 1501 without a Finding: what is absent must not be read as found."""
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            _assessment_uid(assessment, run.ids), _in_words(assessment)
        ),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(assessment.code, ANSWERS[assessment.answer])
        ],
        finding_sites=sites_of(assessment),
        algorithm_id=algorithm(run),
        source_images=sources_of_group(image),
    )
    group[0].ContentSequence.extend(comments(*_probability(assessment)))
    return group


def finding_item(finding: Finding, image: Dataset | None) -> sr.ContentItem:
    """Finding = code, and beneath it what was measured."""
    measured = [
        sr.NumContentItem(
            name=each.name,
            value=number_of(each),
            unit=each.unit,
            relationship_type=HAS_PROPERTIES,
        )
        for each in measurements_of(finding)
    ]
    label = _text(codes.DCM.TrackingIdentifier, named_with_probability(finding))
    below = [label, *_sites_below(finding), *measured]
    return _item(codes.DCM.Finding, finding.code, below, image)


def assessment_item(assessment: Assessment, image: Dataset | None) -> sr.ContentItem:
    said = [_text(codes.DCM.Comment, sentence) for sentence in _probability(assessment)]
    below = [*_sites_below(assessment), *said]
    return _item(assessment.code, ANSWERS[assessment.answer], below, image)


def _sites_below(said: Finding | Assessment) -> list[sr.FindingSite]:
    sites = sites_of(said) or []
    for site in sites:
        site.RelationshipType = HAS_PROPERTIES.value
    return sites


def _item(
    name: Code, value: Code, below: Sequence[sr.ContentItem], image: Dataset | None
) -> sr.ContentItem:
    item = sr.CodeContentItem(
        name=name, value=value, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    source = []
    if image is not None:
        source = [
            sr.ImageContentItem(
                name=SOURCE,
                referenced_sop_class_uid=image.SOPClassUID,
                referenced_sop_instance_uid=image.SOPInstanceUID,
                relationship_type=sr.RelationshipTypeValues.INFERRED_FROM,
            )
        ]
    if below or source:
        item.ContentSequence = sr.ContentSequence([*below, *source])
    return item


def _text(name: Code, value: str) -> sr.TextContentItem:
    return sr.TextContentItem(name=name, value=value, relationship_type=HAS_PROPERTIES)


def _in_words(assessment: Assessment) -> str:
    site = f" ({assessment.site.meaning})" if assessment.site else ""
    words = f"AI {assessment.code.meaning}{site}: {assessment.answer.upper()}"
    if assessment.probability is None:
        return words
    return f"{words} (probability {percent(assessment.probability)})"


def _probability(assessment: Assessment) -> list[str]:
    """In words: as a number it would be the certainty of a finding, and there is none."""
    if assessment.probability is None:
        return []
    return [f"The model's probability of it is {100 * assessment.probability:.1f} %."]


def _assessment_uid(assessment: Assessment, ids: DerivedIds) -> str:
    code = assessment.code
    site, image = assessment.site, assessment.image
    further = [] if site is None else ["site", site.scheme_designator, site.value]
    further += [] if image is None else [image]
    return ids.uid("tracking", "assessment", code.scheme_designator, code.value, *further)
