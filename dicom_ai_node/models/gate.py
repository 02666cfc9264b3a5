"""What stands around every model: the right input before it, a believable answer after it."""

import math

import highdicom as hd
import numpy as np

from dicom_ai_node.config.package import Package
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.findings import volume_ml, voxel_counts
from dicom_ai_node.models.input_gate import unsuitable
from dicom_ai_node.models.likeness import KnownImages, unlike
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result


class GatedModel:
    """A model that is asked only about what its package allows, and whose answers are checked."""

    def __init__(self, model: Model, package: Package, known: KnownImages | None = None) -> None:
        self._model = model
        self._package = package
        self._known = known  # which images the model knows, where the package says so

    def predict(self, data: ModelInput) -> Result:
        reason = unsuitable(data, self._package)
        if reason is None and self._known is not None:
            reason = unlike(data, self._known, self._package.name)
        if reason:
            return Result.not_suitable(reason)
        result = self._model.predict(data)
        check_contract(result, data, self._package)
        reason = implausible(result, self._package)
        return Result.not_suitable(reason) if reason else result


def implausible(result: Result, package: Package) -> str | None:
    """Which segment has a size that cannot be, or None; each image is judged by itself."""
    if not package.plausible:
        return None
    counts = voxel_counts(*(mask.array for mask in result.masks))
    judged = [(voxel_counts(mask.array), mask.array.size) for mask in result.image_masks]
    if result.masks:
        judged.append((counts, result.masks[0].array.size))
    for limit in package.plausible:
        entry = next(each for each in package.segments if each.number == limit.segment)
        if limit.between_ml is not None and result.masks:
            volume = volume_ml(int(counts[limit.segment]), result.masks[0])
            low, high = limit.between_ml
            if volume and not low <= volume <= high:
                return (
                    f"The segmented volume of {entry.label.lower()} is {volume:.0f} mL; "
                    f"{package.name} believes {low:g}–{high:g} mL."
                )
        if limit.between_percent is not None:
            low, high = limit.between_percent
            for found, size in judged:
                share = 100 * float(found[limit.segment]) / size
                if share and not low <= share <= high:
                    return (
                        f"{entry.label} was found in {share:.1f} % of the image; "
                        f"{package.name} believes {low:g}–{high:g} %."
                    )
    return None


def check_contract(result: Result, data: ModelInput, package: Package) -> None:
    """Raises ModelError when the result is not what `Model.predict` promises."""
    _check_said(result, package)
    _check_numbers(result, package)
    for mask in result.masks:
        _check_mask(mask, data.volume, package)
    shapes = {image.sop_instance_uid: image.array.shape for image in data.images}
    for each in result.image_masks:
        if each.array.dtype != np.uint8 or each.array.shape != shapes.get(each.sop_instance_uid):
            raise ModelError(f"A mask of {package.name} does not fit the image that it is of.")
    _check_apart(result, package)
    for shown in result.maps:
        if data.volume is None or not _lies_on(shown.volume, data.volume):
            raise ModelError(f"A map of {package.name} does not lie where the images lie.")


def _check_said(result: Result, package: Package) -> None:
    declared = {entry.number for entry in package.segments}
    present = {segment.number for segment in result.segments}
    located = {finding.segment_number for finding in result.findings} - {None}
    if result.outcome is Outcome.FINDINGS and not result.findings:
        raise ModelError(f"{package.name} reported findings, and named none.")
    if result.findings and result.outcome not in (Outcome.FINDINGS, Outcome.PARTLY):
        raise ModelError(f"{package.name} named findings, and reported that there are none.")
    if not present <= declared or not located <= present:
        raise ModelError(f"{package.name} named a segment that its model.yaml does not declare.")
    if present and not (result.masks or result.image_masks):
        raise ModelError(f"{package.name} named segments, and gave no mask.")


def _check_numbers(result: Result, package: Package) -> None:
    measured = (m.value for finding in result.findings for m in finding.measurements)
    if not all(math.isfinite(value) for value in measured):
        raise ModelError(f"{package.name} measured something that is not a number.")
    said = [each.probability for each in result.findings]
    said += [each.probability for each in result.assessments]
    if not all(value is None or 0 <= value <= 1 for value in said):
        raise ModelError(f"{package.name} gave a probability that is not from 0 to 1.")


def _check_mask(mask: hd.Volume, source: hd.Volume | None, package: Package) -> None:
    if source is None:
        raise ModelError(f"{package.name} gave a mask of images that have no volume.")
    if mask.dtype != np.uint8 or mask.shape != source.spatial_shape:
        raise ModelError(
            f"{package.name} gave a mask of {mask.dtype} {mask.shape}, "
            f"where uint8 {source.spatial_shape} was due."
        )
    if not _lies_on(mask, source):
        raise ModelError(f"The mask of {package.name} does not lie where the images lie.")


def _check_apart(result: Result, package: Package) -> None:
    """A segment has one place: a number that two masks hold would be two segments of one name."""
    declared = {0, *(entry.number for entry in package.segments)}
    arrays = [("", mask.array) for mask in result.masks]
    arrays += [(mask.sop_instance_uid, mask.array) for mask in result.image_masks]
    held: set[tuple[str, int]] = set()
    for image, array in arrays:
        numbers = {int(number) for number in np.flatnonzero(voxel_counts(array))}
        if not numbers <= declared:
            raise ModelError(f"The mask of {package.name} holds numbers that no segment has.")
        here = {(image, number) for number in numbers - {0}}
        if here & held:
            raise ModelError(f"Two masks of {package.name} hold the same segment.")
        held |= here


def _lies_on(volume: hd.Volume, source: hd.Volume) -> bool:
    # highdicom 0.28 compares a volume's frame of reference with itself, so we do it
    same_frame = volume.frame_of_reference_uid == source.frame_of_reference_uid
    return same_frame and bool(volume.geometry_equal(source))
