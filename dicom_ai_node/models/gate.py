"""What stands around every model: the right input before it, a believable answer after it."""

import math
from collections.abc import Sequence

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.config.package import Package
from dicom_ai_node.errors import ModelError
from dicom_ai_node.header import compressed_with_loss
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.findings import volume_ml, voxel_counts
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result

_MAX_CS = 16  # characters of a DICOM code string; what is longer is not one, and is not repeated


class GatedModel:
    """A model that is asked only about what its package allows, and whose answers are checked."""

    def __init__(self, model: Model, package: Package) -> None:
        self._model = model
        self._package = package

    def predict(self, data: ModelInput) -> Result:
        reason = unsuitable(data.headers, self._package)
        if reason:
            return Result.not_suitable(reason)
        result = self._model.predict(data)
        check_contract(result, data, self._package)
        reason = implausible(result, self._package)
        return Result.not_suitable(reason) if reason else result


def unsuitable(headers: Sequence[Dataset], package: Package) -> str | None:
    """Why these images are not for this model, or None; an absent BodyPartExamined passes."""
    gate = package.gate
    modalities = _values(headers, "Modality")
    if gate.modality and not modalities:
        made_for = _either(gate.modality)
        return f"The images do not say their modality; {package.name} is made for {made_for}."
    for found, allowed, sentence in (
        (modalities, gate.modality, "This is {}; {} is made for {}."),
        (
            _values(headers, "BodyPartExamined"),
            gate.body_part,
            "The body part is {}; {} is made for {}.",
        ),
    ):
        others = found - {name.upper() for name in allowed}
        if allowed and others:
            return sentence.format(" and ".join(sorted(others)), package.name, _either(allowed))
    if not gate.accept_lossy and any(_lossy(ds) for ds in headers):
        return (
            "The images were compressed with loss (LossyImageCompression, or their transfer "
            f"syntax); {package.name} is made for lossless ones."
        )
    return None


def implausible(result: Result, package: Package) -> str | None:
    """Which segment has a volume that cannot be, or None."""
    if not result.masks:
        return None
    labels = {entry.number: entry.label for entry in package.segments}
    counts = [voxel_counts(mask, package) for mask in result.masks]
    for limit in package.plausible:
        count = sum(voxels.get(limit.segment, 0) for voxels in counts)
        volume = volume_ml(count, result.masks[0])
        low, high = limit.between_ml
        if count and not low <= volume <= high:
            return (
                f"The segmented volume of {labels[limit.segment].lower()} is {volume:.0f} mL; "
                f"{package.name} believes {low:g}–{high:g} mL."
            )
    return None


def check_contract(result: Result, data: ModelInput, package: Package) -> None:
    """Raises ModelError when the result is not what `Model.predict` promises."""
    declared = {entry.number for entry in package.segments}
    present = {segment.number for segment in result.segments}
    located = {finding.segment_number for finding in result.findings} - {None}
    if result.outcome is Outcome.FINDINGS and not result.findings:
        raise ModelError(f"{package.name} reported findings, and named none.")
    if not present <= declared or not located <= present:
        raise ModelError(f"{package.name} named a segment that its model.yaml does not declare.")
    if present and not (result.masks or result.image_masks):
        raise ModelError(f"{package.name} named segments, and gave no mask.")
    _check_numbers(result, package)
    for mask in result.masks:
        if data.volume is None:
            raise ModelError(f"{package.name} gave a mask of images that have no volume.")
        _check_mask(mask, data.volume, package)
    _check_apart(result, package)
    _check_image_masks(result, data, package)
    for each in result.maps:
        if data.volume is None or not _lies_on(each.volume, data.volume):
            raise ModelError(f"A map of {package.name} does not lie where the images lie.")


def _check_numbers(result: Result, package: Package) -> None:
    measured = (m.value for finding in result.findings for m in finding.measurements)
    if not all(math.isfinite(value) for value in measured):
        raise ModelError(f"{package.name} measured something that is not a number.")
    said = [each.probability for each in result.findings]
    said += [each.probability for each in result.assessments]
    if not all(value is None or 0 <= value <= 1 for value in said):
        raise ModelError(f"{package.name} gave a probability that is not from 0 to 1.")


def _check_mask(mask: hd.Volume, source: hd.Volume, package: Package) -> None:
    if mask.dtype != np.uint8 or mask.shape != source.spatial_shape:
        raise ModelError(
            f"{package.name} gave a mask of {mask.dtype} {mask.shape}, "
            f"where uint8 {source.spatial_shape} was due."
        )
    if not _lies_on(mask, source):
        raise ModelError(f"The mask of {package.name} does not lie where the images lie.")
    labelled = sum(int(np.count_nonzero(slab)) for slab in mask.array)
    if labelled != sum(voxel_counts(mask, package).values()):
        raise ModelError(f"The mask of {package.name} holds numbers that no segment has.")


def _check_apart(result: Result, package: Package) -> None:
    """A segment has one place: a number that two masks hold would be two segments of one name."""
    held = [
        {number for number, voxels in voxel_counts(mask, package).items() if voxels}
        for mask in result.masks
    ]
    if sum(map(len, held)) != len(set().union(*held)):
        raise ModelError(f"Two masks of {package.name} hold the same segment.")


def _check_image_masks(result: Result, data: ModelInput, package: Package) -> None:
    shapes = {image.sop_instance_uid: image.array.shape for image in data.images}
    declared = [0, *(entry.number for entry in package.segments)]
    for mask in result.image_masks:
        if mask.array.dtype != np.uint8 or mask.array.shape != shapes.get(mask.sop_instance_uid):
            raise ModelError(f"A mask of {package.name} does not fit the image that it is of.")
        if not np.isin(mask.array, declared).all():
            raise ModelError(f"The mask of {package.name} holds numbers that no segment has.")


def _lies_on(volume: hd.Volume, source: hd.Volume) -> bool:
    # highdicom 0.28 compares a volume's frame of reference with itself, so we do it
    same_frame = volume.frame_of_reference_uid == source.frame_of_reference_uid
    return same_frame and bool(volume.geometry_equal(source))


def _values(headers: Sequence[Dataset], keyword: str) -> set[str]:
    """Upper case, without repeats; what is absent or empty does not count."""
    values = {str(ds.get(keyword) or "").strip().upper()[:_MAX_CS] for ds in headers}
    return values - {""}


def _lossy(ds: Dataset) -> bool:
    meta = getattr(ds, "file_meta", {})
    return compressed_with_loss(ds.get("LossyImageCompression"), meta.get("TransferSyntaxUID"))


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
