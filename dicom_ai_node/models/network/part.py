"""What one output of a network comes to, before the whole result is put together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import highdicom as hd

from dicom_ai_node.job import Outcome
from dicom_ai_node.result import (
    Answer,
    Assessment,
    Finding,
    ImageMask,
    Result,
    ResultMap,
    Segment,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Findings without a segment are not numbered yet: their tracking identifiers are labels."""

    masks: tuple[hd.Volume, ...] = ()
    image_masks: tuple[ImageMask, ...] = ()
    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    maps: tuple[ResultMap, ...] = ()

    def with_maps(self, maps: tuple[ResultMap, ...]) -> "Part":
        return replace(self, maps=(*self.maps, *maps))


def result_of(parts: Sequence[Part], title: str, refusal: str | None = None) -> Result:
    """One result: findings if any part has one; undecided if nothing was found and one is.

    `refusal` says of which inputs there is no answer: then the result is but a part.
    """
    findings = numbered([finding for part in parts for finding in part.findings])
    assessments = tuple(each for part in parts for each in part.assessments)
    undecided = [each.code.meaning for each in assessments if each.answer is Answer.UNDECIDED]
    reason = None
    if refusal:
        outcome = Outcome.PARTLY
        reason = refusal
    elif findings:
        outcome = Outcome.FINDINGS
    elif undecided:
        outcome = Outcome.ABSTAINED
        names = ", ".join(dict.fromkeys(undecided))
        reason = f"{title} is not sure enough for an answer: {names}."
    else:
        outcome = Outcome.NONE
        reason = f"{title} found nothing."
    return Result(
        outcome=outcome,
        reason=reason,
        masks=tuple(mask for part in parts for mask in part.masks),
        image_masks=tuple(mask for part in parts for mask in part.image_masks),
        segments=tuple({each.number: each for part in parts for each in part.segments}.values()),
        findings=findings,
        assessments=assessments,
        maps=tuple(each for part in parts for each in part.maps),
    )


def numbered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Labels become tracking identifiers, each once in the result: "Nodule 1", "Nodule 2"."""
    seen: Counter[str] = Counter()
    told: list[Finding] = []
    for finding in findings:
        if finding.segment_number is None:
            label = finding.tracking_identifier
            seen[label] += 1
            finding = replace(finding, tracking_identifier=f"{label} {seen[label]}")
        told.append(finding)
    return tuple(told)
