"""Segmentations and maps, frame by frame: voxel for voxel what the model marked, nothing missing
and nothing more."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.frames import Frame, frames_of, pixels_of
from dicom_ai_node.gate.layers import Layer, OfVolume, Place, numbers
from dicom_ai_node.gate.object_file import ObjectFile
from dicom_ai_node.gate.segments import Candidates, candidates_of

POSITION_MM = 1e-3

# of each frame of the images, by SOP Instance UID and frame number: the position of its first
# pixel, NaN where it has none
Positions = Mapping[tuple[str, int | None], NDArray[np.float64]]


class Held(NamedTuple):
    """What is in a segmentation: how many voxels, and of which mask which segments."""

    voxels: int
    marks: frozenset[tuple[int, int]]


def check_segmentation(
    file: ObjectFile, layers: Sequence[Layer], candidates: Candidates, positions: Positions
) -> Held:
    """ResultMismatch where a voxel is not as in the result."""
    left = candidates_of(file, candidates)
    shape = (int(file.header.Rows), int(file.header.Columns))
    seen: set[tuple[int, Place]] = set()
    voxels = 0
    for frame, number, bits in _marks(file, positions):
        place: Place | None = None
        fitting = []
        for layer, model_number in left.get(number, ()):
            found = layers[layer].under(frame, shape)
            if found and any(np.array_equal(bits, each == model_number) for each in found[1]):
                fitting.append((layer, model_number))
                place = found[0]
        if place is None:
            raise ResultMismatch("its voxels are not those that the model marked")
        if (number, place) in seen:
            raise ResultMismatch("it marks a slice twice")
        left[number] = fitting
        seen.add((number, place))
        voxels += int(np.count_nonzero(bits))
    marked = {number for number, _ in seen}
    marks = frozenset(left[number][0] for number in marked)
    return Held(voxels=voxels, marks=marks)


def check_map(file: ObjectFile, volumes: Sequence[OfVolume], positions: Positions) -> set[int]:
    """Which of the result's maps it may be, by their indices."""
    shape = (int(file.header.Rows), int(file.header.Columns))
    left, seen = set(range(len(volumes))), set()
    frames = _placed(file, positions)
    for frame, image in zip(frames, pixels_of(file, len(frames)), strict=True):
        for index in list(left):
            found = volumes[index].under(frame, shape)
            if found is None or not any(np.array_equal(image, each) for each in found[1]):
                left.remove(index)
            else:
                seen.add(found[0])
    left = {index for index in left if len(volumes[index].volume.array) == len(seen)}
    if not left or len(seen) != len(frames):
        raise ResultMismatch("its values are not those of the model's map")
    return left


def _marks(
    file: ObjectFile, positions: Positions
) -> Iterator[tuple[Frame, int, NDArray[np.bool_]]]:
    """Frame, segment number, and where on the frame it is."""
    frames = _placed(file, positions)
    kind = str(file.header.get("SegmentationType") or "")
    full = int(file.header.get("MaximumFractionalValue") or 1)
    for frame, image in zip(frames, pixels_of(file, len(frames)), strict=True):
        if kind == "LABELMAP":
            for number in np.flatnonzero(np.bincount(image.ravel().astype(np.uint16))):
                if number:
                    yield frame, int(number), image == number
        elif kind == "FRACTIONAL":
            bits = image == full
            if np.count_nonzero(image) != np.count_nonzero(bits):
                raise ResultMismatch("it holds fractions, and the model gave none")
            yield frame, frame.segment_number, bits
        else:
            yield frame, frame.segment_number, image.view(np.bool_)


def _placed(file: ObjectFile, positions: Positions) -> list[Frame]:
    """The frames: each names an image that was analysed, and lies where that lies."""
    frames = frames_of(file)
    places = {(each.source, each.source_frame, each.position): each for each in frames}
    for frame in places.values():
        _check_source(frame, positions)
    return frames


def _check_source(frame: Frame, positions: Positions) -> None:
    uid, number = frame.source_uid, frame.source_frame_number
    at = positions.get((uid, number))
    at = positions.get((uid, 1 if number is None else None)) if at is None else at
    if at is None:
        raise ResultMismatch("a frame of it names no image that was analysed")
    if frame.position and not np.isnan(at).any():
        position = numbers(frame.position)
        if len(position) != 3 or np.abs(position - at).max() > POSITION_MM:
            raise ResultMismatch("a frame of it lies elsewhere than the image that it names")
