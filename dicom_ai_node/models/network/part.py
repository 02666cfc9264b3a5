"""What one output of a network comes to, before the whole result is put together."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    masks: tuple[hd.Volume, ...] = ()
    image_masks: tuple[ImageMask, ...] = ()
    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    maps: tuple[ResultMap, ...] = ()


def result_of(parts: Sequence[Part], title: str) -> Result:
    """One result: findings if any part has one; undecided if nothing was found and one is."""
    findings = tuple(finding for part in parts for finding in part.findings)
    assessments = tuple(each for part in parts for each in part.assessments)
    undecided = [each.code.meaning for each in assessments if each.answer is Answer.UNDECIDED]
    reason = None
    if findings:
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
