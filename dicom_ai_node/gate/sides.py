"""Left and right: a segment that is called left lies to the patient's left of its fellow."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.result import Result, Segment

# Whose left one is the patient's left one in everybody. Not chambers of the heart, lobes of the
# liver or parts of the colon: their names go by build, and may lie mirrored (situs inversus).
PAIRED = re.compile(
    r"\b(lungs?|kidneys?|adrenal|breasts?|femur|hips?|humerus|scapula|clavicle|eyes?|tibia|fibula"
    r"|radius|ulna|hemithorax|pleural|hippocampus|testis|ovary|parotid|orbit)\b",
    re.IGNORECASE,
)
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
CLEARLY = 1.0  # mm, or pixels of a radiograph
LOOKED_AT = 1 << 22  # voxels: of more, every second row and column


def check_sides(result: Result, headers: Sequence[Dataset]) -> None:
    """ResultMismatch where a left one lies to the right of its right fellow: in the patient (LPS),
    or on a radiograph by its Patient Orientation (PS3.3 C.7.6.1.1.1), where that says it."""
    pairs = list(_pairs(result.segments))
    if not pairs:
        return
    for volume in result.masks:
        centers = _centers(volume.array)
        affine = volume.affine
        at = {n: float(affine[0, :3] @ place + affine[0, 3]) for n, place in centers.items()}
        _check(pairs, at)
    directions = {str(header.SOPInstanceUID): _to_the_left(header) for header in headers}
    for mask in result.image_masks:
        toward = directions.get(mask.sop_instance_uid)
        if toward is not None:
            centers = _centers(mask.array[None])
            _check(pairs, {n: float(toward @ place[1:]) for n, place in centers.items()})


def _check(pairs: Iterable[tuple[int, int]], at: Mapping[int, float]) -> None:
    """`at` is how far to the patient's left each one lies."""
    for left, right in pairs:
        if left in at and right in at and at[left] < at[right] - CLEARLY:
            raise ResultMismatch("a left and a right segment have changed places")


def _pairs(segments: Sequence[Segment]) -> Iterable[tuple[int, int]]:
    """Numbers of the left and the right one of one kind."""
    sides = {segment.number: _side(segment) for segment in segments}
    for left in segments:
        for right in segments:
            one, other = sides[left.number], sides[right.number]
            if one and other and (one[0], other[0]) == ("left", "right") and one[1] == other[1]:
                yield left.number, right.number


def _side(segment: Segment) -> tuple[str, str] | None:
    """Which side, and of what; None for what has no side that could be told."""
    meaning = segment.type.meaning
    side = getattr(segment, "laterality", None)
    if side in ("left", "right"):
        return str(side), f"{segment.type.value} {_SIDE.sub('', segment.label)}".strip().lower()
    found = {each.lower() for each in _SIDE.findall(meaning)}
    if len(found) != 1 or not PAIRED.search(meaning):
        return None
    (named,) = found
    return named, " ".join(_SIDE.sub("", meaning).lower().split())


def _to_the_left(header: Dataset) -> NDArray[np.float64] | None:
    """How far to the patient's left the next row and the next column lie, in pixels."""
    turn = header.get("ImageOrientationPatient")
    if turn:
        return np.array([float(turn[3]), float(turn[0])])
    letters = [str(each) for each in header.get("PatientOrientation") or ()]
    if len(letters) != 2:
        return None
    signs = {"L": 1.0, "R": -1.0}
    row_direction, column_direction = (signs.get(each[:1], 0.0) for each in letters)
    return np.array([column_direction, row_direction])


def _centers(array: NDArray[np.uint8]) -> dict[int, NDArray[np.float64]]:
    """By segment number, as (slice, row, column)."""
    step = 1 if array.size <= LOOKED_AT else 2
    seen = array[:, ::step, ::step]
    rows, columns = (each.ravel().astype(float) for each in np.indices(seen.shape[1:]) * step)
    sums = np.zeros((4, 256))
    for index, image in enumerate(seen):
        if image.any():
            numbers = image.ravel()
            count = np.bincount(numbers, minlength=256)
            sums += [
                count,
                index * count,
                np.bincount(numbers, rows, minlength=256),
                np.bincount(numbers, columns, minlength=256),
            ]
    return {int(n): sums[1:, n] / sums[0, n] for n in np.flatnonzero(sums[0]) if n}
