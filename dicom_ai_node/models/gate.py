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
        check_contract(result, data.volume, self._package)
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
    if result.mask is None:
        return None
    voxels = voxel_counts(result.mask, package)
    labels = {entry.number: entry.label for entry in package.segments}
    for limit in package.plausible:
        count = voxels.get(limit.segment, 0)
        volume = volume_ml(count, result.mask)
        low, high = limit.between_ml
        if count and not low <= volume <= high:
            return (
                f"The segmented volume of {labels[limit.segment].lower()} is {volume:.0f} mL; "
                f"{package.name} believes {low:g}–{high:g} mL."
            )
    return None


def check_contract(result: Result, source: hd.Volume | None, package: Package) -> None:
    """Raises ModelError when the result is not what `Model.predict` promises."""
    declared = {entry.number for entry in package.segments}
    present = {segment.number for segment in result.segments}
    located = {finding.segment_number for finding in result.findings} - {None}
    if result.outcome is Outcome.FINDINGS and not result.findings:
        raise ModelError(f"{package.name} reported findings, and named none.")
    if not present <= declared or not located <= present:
        raise ModelError(f"{package.name} named a segment that its model.yaml does not declare.")
    if present and result.mask is None:
        raise ModelError(f"{package.name} named segments, and gave no mask.")
    measured = (m.value for finding in result.findings for m in finding.measurements)
    if not all(math.isfinite(value) for value in measured):
        raise ModelError(f"{package.name} measured something that is not a number.")
    if result.mask is not None and source is None:
        raise ModelError(f"{package.name} gave a mask of images that have no volume.")
    if result.mask is not None and source is not None:
        _check_mask(result.mask, source, package)


def _check_mask(mask: hd.Volume, source: hd.Volume, package: Package) -> None:
    if mask.dtype != np.uint8 or mask.shape != source.spatial_shape:
        raise ModelError(
            f"{package.name} gave a mask of {mask.dtype} {mask.shape}, "
            f"where uint8 {source.spatial_shape} was due."
        )
    # highdicom 0.28 compares a volume's frame of reference with itself, so we do it
    same_frame = mask.frame_of_reference_uid == source.frame_of_reference_uid
    if not same_frame or not mask.geometry_equal(source):
        raise ModelError(f"The mask of {package.name} does not lie where the images lie.")
    labelled = sum(int(np.count_nonzero(slab)) for slab in mask.array)
    if labelled != sum(voxel_counts(mask, package).values()):
        raise ModelError(f"The mask of {package.name} holds numbers that no segment has.")


def _values(headers: Sequence[Dataset], keyword: str) -> set[str]:
    """Upper case, without repeats; what is absent or empty does not count."""
    values = {str(ds.get(keyword) or "").strip().upper()[:_MAX_CS] for ds in headers}
    return values - {""}


def _lossy(ds: Dataset) -> bool:
    meta = getattr(ds, "file_meta", {})
    return compressed_with_loss(ds.get("LossyImageCompression"), meta.get("TransferSyntaxUID"))


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
