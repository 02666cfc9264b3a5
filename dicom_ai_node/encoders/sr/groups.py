"""What the groups of a TID 1500 report share, and those of the report as a whole."""

import math
from collections.abc import Iterable, Sequence

from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.marked.marked import Place
from dicom_ai_node.encoders.marked.size import size_of
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.draft import Draft
from dicom_ai_node.encoders.sr.items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    Items,
)
from dicom_ai_node.encoders.sr.status import STATUS, evaluations
from dicom_ai_node.errors import ModelError
from dicom_ai_node.laterality import LATERALITY_CODES
from dicom_ai_node.result import Assessment, Finding, Measurement, Result, rounded
from dicom_ai_node.units import PERCENT


def group(
    draft: Draft,
    template: str,
    tracking: tuple[str, str],
    *,
    said: Finding | Assessment | None = None,
    category: Code | None = None,
    measurements: Iterable[Measurement] = (),
    evaluated: Sequence[tuple[Code, Code]] = (),
    below: Sequence[Dataset] = (),
) -> Dataset:
    """A measurement group of TID 1410, 1411 or 1501, in its order; `tracking` is (UID, identifier).

    An assessment has no Finding: what is absent must not be read as found. `below` is what only
    groups of this template have, or groups of this kind.
    """
    items = draft.items
    uid, identifier = tracking
    content = [
        items.text(names.TRACKING_IDENTIFIER, identifier, HAS_OBS_CONTEXT),
        items.uid(names.TRACKING_UID, uid, HAS_OBS_CONTEXT),
    ]
    if category is not None:
        content.append(items.code(names.FINDING_CATEGORY, category, CONTAINS))
    if isinstance(said, Finding):
        content.append(items.code(names.FINDING, said.code, CONTAINS))
    if said is not None:
        content += sites_of(draft, said)
    content += [
        *draft.algorithm,
        *(items.number(each.name, number_of(each), each.unit, CONTAINS) for each in measurements),
        *(items.code(name, value, CONTAINS) for name, value in evaluated),
        *below,
    ]
    return items.container(names.MEASUREMENT_GROUP, content, template=template)


def status_section(
    draft: Draft, result: Result, more: Sequence[Dataset], others: Sequence[Dataset]
) -> Dataset:
    """TID 1500 row 12, beside findings: the outcome as a code, and in words for a text viewer.

    Not a measurement group: one without coordinates, and OHIF draws nothing of the whole report.
    `more` is what has no coordinates either; `others` are references to objects of the run.
    """
    codes = evaluations(result.outcome, has_findings=True)
    headline = draft.run.say(STATUS[result.outcome].headline)
    content = [
        *(draft.items.code(name, value, CONTAINS) for name, value in codes),
        *more,
        *comments(draft.items, headline, *_sentences(draft, result)),
        *others,
    ]
    return draft.items.container(names.QUALITATIVE_EVALUATIONS, content)


def status_group(
    draft: Draft, result: Result, source: Dataset | None, others: Sequence[Dataset]
) -> Dataset:
    """TID 1501 with the same, without findings: Imaging Measurements cannot be empty."""
    uid = draft.run.ids.uid("sr", "status")
    return group(
        draft,
        "1501",
        (uid, draft.run.say(STATUS[result.outcome].headline)),
        evaluated=evaluations(result.outcome, has_findings=False),
        below=[
            *source_of_group(draft.items, source),
            *comments(draft.items, *_sentences(draft, result)),
            *others,
        ],
    )


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


def certainty(probability: float) -> float:
    """In percent, to one decimal; never 0 or 100 of what is neither."""
    value = round(100 * probability, 1)
    return rounded(100 * probability) if value in (0, 100) else value


def measurements_of(finding: Finding, place: Place | None = None) -> list[Measurement]:
    """First the size of what is marked, then the certainty; each where there is one, and the model
    has not measured it itself."""
    measured = list(finding.measurements)
    own = [] if place is None else size_of(place)
    if finding.probability is not None:
        value = certainty(finding.probability)
        own.append(Measurement(name=names.CERTAINTY, value=value, unit=PERCENT))
    there = [each.name for each in measured]
    return [*(each for each in own if each.name not in there), *measured]


def number_of(measurement: Measurement) -> float:
    """ModelError for what is no number."""
    if not math.isfinite(measurement.value):
        raise ModelError(f"The model measured no number: {measurement.name.meaning}.")
    return rounded(float(measurement.value))


def _sentences(draft: Draft, result: Result) -> tuple[str, ...]:
    return *sentences_of(result, draft.run), draft.run.package.intended_use


def sentences_of(result: Result, run: Run) -> tuple[str, ...]:
    """Why it came to that, and whether an earlier report said something else."""
    sentence = result.reason or run.say(STATUS[result.outcome].sentence)
    if not run.supersedes:
        return (sentence,)
    return sentence, run.say(
        "This report replaces an earlier one: images of the study came after that was made."
    )


def comments(items: Items, *sentences: str) -> list[Dataset]:
    return [items.text(names.COMMENT, sentence, CONTAINS) for sentence in sentences]


def sites_of(
    draft: Draft, said: Finding | Assessment, relation: str = HAS_CONCEPT_MOD
) -> list[Dataset]:
    """With the side, where the model knows it, or the images say it."""
    if said.site is None:
        return []
    side = draft.sides.of(said)
    below = []
    if side is not None:
        code = LATERALITY_CODES[side]
        below = [draft.items.code(names.LATERALITY, code, HAS_CONCEPT_MOD)]
    return [draft.items.code(names.FINDING_SITE, said.site, relation, below)]


def source_of_group(
    items: Items, source: Dataset | None, frame_number: int | None = None
) -> list[Dataset]:
    """None where there is no source."""
    if source is None:
        return []
    return [items.image(names.SOURCE_OF_MEASUREMENT, source, CONTAINS, frame=frame_number)]
