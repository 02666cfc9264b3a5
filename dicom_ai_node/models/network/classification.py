"""An output that is a classification: one probability per channel, and what it amounts to."""

import torch
from torch import Tensor

from dicom_ai_node.config.outputs import Activation, ClassEntry, ClassificationOutput, NumbersOutput
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.network.part import Part
from dicom_ai_node.models.network.seen import Seen
from dicom_ai_node.models.network.uncertainty import spread_of, spread_of_probability
from dicom_ai_node.result import Answer, Assessment, Finding

_ROUNDING = 1e-4  # by how much a network's own softmax may miss 1


def probabilities(seen: Seen, output: ClassificationOutput) -> Tensor:
    """(answers, channels, slices), calibrated."""
    slope, intercept = output.calibration
    logits = seen.numbers(output.output) * slope + intercept
    due = max(entry.channel for entry in output.classes) + 1
    if logits.shape[1] < due:
        raise ModelError(f"{seen.name} gave {logits.shape[1]} channels where {due} were due.")
    return activated(logits, output.activation, seen.name, channels=1)


def activated(values: Tensor, activation: Activation, name: str, *, channels: int = 0) -> Tensor:
    """As probabilities; `channels` is the dimension that softmax goes along.

    ModelError for what is not from 0 to 1.
    """
    if activation == "sigmoid":
        return values.sigmoid()
    if activation == "softmax":
        return values.softmax(channels)
    if values.numel() and not -_ROUNDING <= values.min() <= values.max() <= 1 + _ROUNDING:
        raise ModelError(f"{name} gave a probability that is not from 0 to 1.")
    return values.clamp(0, 1)


def combined(values: Tensor, output: NumbersOutput) -> Tensor:
    """(answers, channels, slices or images) to (answers, channels)."""
    return values.mean(-1) if output.combine == "mean" else values.amax(-1)


def classification(values: Tensor, output: ClassificationOutput, image: str | None) -> Part:
    """`values` are (answers, channels); `image` where they are of one image alone."""
    spreads = spread_of(values)
    findings: list[Finding] = []
    assessments: list[Assessment] = []
    for entry in output.classes:
        probability = float(values[0, entry.channel])
        spread = None if spreads is None else float(spreads[entry.channel])
        answer = judged(entry, probability)
        if wavers(spread, output.abstain_above):
            answer = Answer.UNDECIDED
        if answer is None:
            findings.append(found(entry, probability, spread, image))
        else:
            assessments.append(
                Assessment(
                    code=entry.finding,
                    answer=answer,
                    probability=probability,
                    site=entry.site,
                    laterality=entry.laterality,
                    image=image,
                )
            )
    return Part(findings=tuple(findings), assessments=tuple(assessments))


def judged(entry: ClassEntry, probability: float) -> Answer | None:
    """None where the class counts as found."""
    # to the float32 that networks compute in, 0.7 is below 0.7
    value = torch.tensor(probability, dtype=torch.float32)
    if entry.undecided and entry.undecided[0] <= value < entry.undecided[1]:
        return Answer.UNDECIDED
    return None if value >= entry.threshold else Answer.ABSENT


def wavers(spread: float | None, abstain_above: float | None) -> bool:
    return spread is not None and abstain_above is not None and spread > abstain_above


def found(
    entry: ClassEntry, probability: float, spread: float | None, image: str | None
) -> Finding:
    return Finding(
        tracking_identifier=entry.label,
        code=entry.finding,
        site=entry.site,
        laterality=entry.laterality,
        probability=probability,
        image=image,
        measurements=() if spread is None else (spread_of_probability(spread),),
    )
