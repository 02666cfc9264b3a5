"""What has no place in the images: findings of the whole, and what was looked for in vain.

A group each (TID 1501) in a report without coordinates. Beside coordinates each is an item of the
qualitative evaluations instead: OHIF draws nothing of a report in which a group has none.
"""

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.draft import Draft
from dicom_ai_node.encoders.sr.groups import (
    certainty,
    comments,
    group,
    measurements_of,
    named_with_probability,
    number_of,
    percent,
    sites_of,
    source_of_group,
)
from dicom_ai_node.encoders.sr.items import CONTAINS, HAS_PROPERTIES, INFERRED_FROM, SOURCE
from dicom_ai_node.result import Answer, Assessment, Finding

ANSWERS = {
    Answer.ABSENT: Code("2667000", "SCT", "Absent"),
    Answer.UNDECIDED: Code("82334004", "SCT", "Indeterminate"),
}


def finding_group(
    draft: Draft, finding: Finding, image: Dataset | None, tracking_uid: str, earlier: Sequence[str]
) -> Dataset:
    """TID 1501: what was found and measured, and how sure the model is."""
    return group(
        draft,
        "1501",
        (tracking_uid, named_with_probability(finding)),
        said=finding,
        measurements=measurements_of(finding),
        below=[*source_of_group(draft.items, image), *comments(draft.items, *earlier)],
    )


def assessment_group(draft: Draft, assessment: Assessment, image: Dataset | None) -> Dataset:
    """TID 1501 without a Finding: what is absent must not be read as found."""
    return group(
        draft,
        "1501",
        (_assessment_uid(assessment, draft.run.ids), _in_words(assessment, draft.run)),
        said=assessment,
        evaluated=[(assessment.code, ANSWERS[assessment.answer])],
        below=[
            *source_of_group(draft.items, image),
            *comments(draft.items, *_probability(assessment, draft.run)),
        ],
    )


def finding_item(
    draft: Draft, finding: Finding, image: Dataset | None, earlier: Sequence[str]
) -> Dataset:
    """Finding = code, and beneath it what was measured."""
    items = draft.items
    below = [
        items.text(names.TRACKING_IDENTIFIER, named_with_probability(finding), HAS_PROPERTIES),
        *sites_of(draft, finding, HAS_PROPERTIES),
        *(
            items.number(each.name, number_of(each), each.unit, HAS_PROPERTIES)
            for each in measurements_of(finding)
        ),
        *(items.text(names.COMMENT, sentence, HAS_PROPERTIES) for sentence in earlier),
    ]
    return _item(draft, names.FINDING, finding.code, below, image)


def assessment_item(draft: Draft, assessment: Assessment, image: Dataset | None) -> Dataset:
    said = _probability(assessment, draft.run)
    below = [
        *sites_of(draft, assessment, HAS_PROPERTIES),
        *(draft.items.text(names.COMMENT, sentence, HAS_PROPERTIES) for sentence in said),
    ]
    return _item(draft, assessment.code, ANSWERS[assessment.answer], below, image)


def _item(
    draft: Draft, name: Code, value: Code, below: Sequence[Dataset], image: Dataset | None
) -> Dataset:
    source = [] if image is None else [draft.items.image(SOURCE, image, INFERRED_FROM)]
    return draft.items.code(name, value, CONTAINS, [*below, *source])


def _in_words(assessment: Assessment, run: Run) -> str:
    site = f" ({assessment.site.meaning})" if assessment.site else ""
    what, answer = f"{assessment.code.meaning}{site}", run.say(assessment.answer.upper())
    if assessment.probability is None:
        return run.say("AI {what}: {answer}", what=what, answer=answer)
    return run.say(
        "AI {what}: {answer} (probability {percent})",
        what=what,
        answer=answer,
        percent=percent(assessment.probability),
    )


def _probability(assessment: Assessment, run: Run) -> list[str]:
    """In words: as a number it would be the certainty of a finding, and there is none."""
    if assessment.probability is None:
        return []
    value = certainty(assessment.probability)
    percents = f"{value:.1f}" if value == round(value, 1) else f"{value:g}"
    return [run.say("The model's probability of it is {percent} %.", percent=percents)]


def _assessment_uid(assessment: Assessment, ids: DerivedIds) -> str:
    code = assessment.code
    site, image = assessment.site, assessment.image
    further = [] if site is None else ["site", site.scheme_designator, site.value]
    further += [] if image is None else [image]
    return ids.uid("tracking", "assessment", code.scheme_designator, code.value, *further)
