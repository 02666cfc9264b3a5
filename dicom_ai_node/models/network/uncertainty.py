"""How much an answer wavers when its input is flipped: numbers, and maps of segmentations."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

import highdicom as hd
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from torch import Tensor

from dicom_ai_node.config.outputs import SegmentationOutput
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.network.part import Part
from dicom_ai_node.models.network.seen import Seen
from dicom_ai_node.models.network.steps import applied, transforms_of
from dicom_ai_node.result import (
    Answer,
    Assessment,
    Finding,
    ImageMask,
    MapKind,
    Measurement,
    ResultMap,
)

# No dictionary has it: SCT's standard deviation is of repeated measurements of the patient.
SPREAD_OF_PROBABILITY = Code("SPREAD-PROB", "99DICOMAINODE", "Spread of the probability")
SPREAD_OF_QUANTITY = Code("SPREAD-VALUE", "99DICOMAINODE", "Spread of the measured value")


def spread_of(values: Tensor) -> Tensor | None:
    """The standard deviation over the first dimension (all answers); None for one answer."""
    return values.std(0, unbiased=False) if len(values) > 1 else None


def spread_of_probability(value: float) -> Measurement:
    """Without a unit (UCUM 1), as the probability is."""
    return Measurement(name=SPREAD_OF_PROBABILITY, value=value, unit=codes.UCUM.NoUnits)


def spread_of_quantity(value: float, unit: Code) -> Measurement:
    return Measurement(name=SPREAD_OF_QUANTITY, value=value, unit=unit)


def doubted(part: Part, seen: Seen, output: SegmentationOutput, data: ModelInput) -> Part:
    """A segmentation with the mean spread in each segment, and without those above
    `abstain_above`; with the map of it where one is asked for."""
    if len(seen.answers) == 1:
        return part
    spread = _spread(seen, output)
    if seen.grid.image is None:
        arrays = [mask.array for mask in part.masks]
    else:
        arrays = [mask.array for mask in part.image_masks]
    means = {
        segment.number: _mean_within(spread, arrays, segment.number) for segment in part.segments
    }
    limit = output.abstain_above
    doubtful = {n for n, mean in means.items() if limit is not None and mean > limit}
    maps: tuple[ResultMap, ...] = ()
    if MapKind.UNCERTAINTY in data.maps and data.volume is not None:
        volume = data.volume.with_array(spread)
        maps = (ResultMap(kind=MapKind.UNCERTAINTY, label=seen.title, volume=volume),)
    told = replace(part, maps=maps, findings=tuple(_told(f, means) for f in part.findings))
    return _withheld(told, doubtful) if doubtful else told


def _told(finding: Finding, means: dict[int, float]) -> Finding:
    if finding.segment_number is None:
        return finding
    doubt = spread_of_probability(means[finding.segment_number])
    return replace(finding, measurements=(*finding.measurements, doubt))


def _withheld(part: Part, numbers: set[int]) -> Part:
    """Without these segments, which become undecided."""
    doubtful = [f for f in part.findings if f.segment_number in numbers]
    return replace(
        part,
        masks=tuple(_mask_without(mask, numbers) for mask in part.masks),
        image_masks=tuple(
            ImageMask(sop_instance_uid=mask.sop_instance_uid, array=_without(mask.array, numbers))
            for mask in part.image_masks
        ),
        segments=tuple(each for each in part.segments if each.number not in numbers),
        findings=tuple(f for f in part.findings if f.segment_number not in numbers),
        assessments=(
            *part.assessments,
            *(
                Assessment(
                    code=f.code,
                    answer=Answer.UNDECIDED,
                    site=f.site,
                    laterality=f.laterality,
                    image=f.image,
                )
                for f in doubtful
            ),
        ),
    )


def _mask_without(mask: hd.Volume, numbers: set[int]) -> hd.Volume:
    changed: hd.Volume = mask.with_array(_without(mask.array, numbers))
    return changed


def _without(array: NDArray[np.uint8], numbers: set[int]) -> NDArray[np.uint8]:
    return np.where(np.isin(array, list(numbers)), np.uint8(0), array)


def _spread(seen: Seen, output: SegmentationOutput) -> NDArray[np.float32]:
    """On the source's grid: of the channel that wavers most."""
    fields = torch.stack([_probabilities(field, output) for field in seen.fields(output.output)])
    spread = fields.std(0, unbiased=False).amax(0, keepdim=True)
    restored: NDArray[np.float32] = seen.grid.restored(spread, nearest=False)[0].clip(0, 1)
    return restored


def _probabilities(raw: Tensor, output: SegmentationOutput) -> Tensor:
    """By the steps `Activations` that postprocessing begins with; without one, by softmax where
    the label map is an argmax of logits."""
    leading = list(takewhile(lambda step: step.name == "Activations", output.postprocess))
    values: Tensor = MetaTensor(raw)
    for transform in transforms_of(leading):
        values = applied(transform, MetaTensor(values))
    plain = values.as_tensor() if isinstance(values, MetaTensor) else values
    takes_argmax = any(step.arguments.get("argmax") for step in output.postprocess)
    if not leading and takes_argmax and not _are_probabilities(plain):
        plain = plain.softmax(0)
    return plain.clamp(0, 1)


def _are_probabilities(values: Tensor) -> bool:
    """Whether the network ends in a softmax of its own."""
    sums = values.sum(0)
    return bool(values.min() >= 0) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def _mean_within(
    spread: NDArray[np.float32], arrays: Sequence[NDArray[np.uint8]], number: int
) -> float:
    inside = [spread[array == number] for array in arrays]
    return float(np.concatenate(inside).mean())
