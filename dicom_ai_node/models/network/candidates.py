"""What a detecting network may have found: boxes on its grid, read from its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from monai.data.box_utils import batched_nms
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from dicom_ai_node.config.outputs import DetectionOutput
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.network.classification import activated
from dicom_ai_node.models.network.seen import Axes, Seen

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """In voxels of the prepared grid, where whole numbers are the centres of voxels: a box around
    the first voxel alone is from -0.5 to 0.5."""

    boxes: Tensor  # (n, 2d): low corner, high corner
    points: Tensor  # (n, d): the centre, or the peak
    scores: Tensor  # (n,): 0 to 1
    labels: Tensor  # (n,)

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: Tensor) -> "Candidates":
        return Candidates(
            boxes=self.boxes[chosen],
            points=self.points[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
        )


def candidates(seen: Seen, output: DetectionOutput) -> Candidates:
    """All that may count, the best first, without those that a better one overlaps."""
    read = _of_heatmap(seen, output) if output.form == "heatmap" else of_boxes(seen, output)
    floors = _floors(output)
    lowest = torch.tensor([floors[label] for label in read.labels.tolist()])
    read = read.take(read.scores >= lowest)
    best = torch.as_tensor(batched_nms(read.boxes, read.scores, read.labels, output.nms_iou))
    return read.take(best[read.scores[best].argsort(descending=True, stable=True)])


def of_boxes(seen: Seen, output: DetectionOutput, answer: int = 0) -> Candidates:
    """As the network gives them, within the grid; turned back where the input was flipped.

    ModelError for tensors that do not belong together, a box that is turned inside out, a score
    that is no probability, and a label that no class has.
    """
    shape = torch.tensor(seen.grid.tensor.shape[1:], dtype=torch.float32)
    axes = len(shape)
    scores = seen.raw(output.scores, answer).float().reshape(-1)
    labels = seen.raw(output.labels, answer).long().reshape(-1)
    corners = seen.raw(output.boxes, answer).float()
    if corners.numel() != 2 * axes * len(scores) or len(labels) != len(scores):
        raise ModelError(
            f"{seen.name} gave {len(scores)} scores, {len(labels)} labels and boxes of the shape "
            f"{tuple(corners.shape)}, where n × {2 * axes} was due."
        )
    corners = corners.reshape(-1, 2 * axes)
    if output.origin == "edge":
        corners = corners - 0.5
    corners = _turned_back(corners, shape, seen.flips[answer])
    if (corners[:, axes:] < corners[:, :axes]).any():
        raise ModelError(f"{seen.name} gave a box whose high corner lies below its low one.")
    if not set(labels.tolist()) <= {entry.channel for entry in output.classes}:
        raise ModelError(f"{seen.name} gave a label that no class of its model.yaml has.")
    # torch.clamp takes a tensor as a limit for each column
    within = corners.clamp(torch.full((2 * axes,), -0.5), (shape - 0.5).repeat(2))
    read = Candidates(
        boxes=within,
        points=(within[:, :axes] + within[:, axes:]) / 2,
        scores=activated(scores, output.activation, seen.name),
        labels=labels,
    )
    return read.take((within[:, axes:] > within[:, :axes]).all(1))


def heat(seen: Seen, output: DetectionOutput) -> list[Tensor]:
    """Each answer (channels, *spatial), as probabilities, on the grid."""
    due = max(entry.channel for entry in output.classes) + 1
    fields = seen.fields(output.output)
    if len(fields[0]) < due:
        raise ModelError(f"{seen.name} gave {len(fields[0])} channels where {due} were due.")
    return [activated(field, output.activation, seen.name) for field in fields]


def _of_heatmap(seen: Seen, output: DetectionOutput) -> Candidates:
    field = heat(seen, output)[0]
    floors = _floors(output)
    axes = field.ndim - 1
    rows: list[tuple[Floats, Floats, float, int]] = []  # box, point, score, label
    for entry in output.classes:
        values = field[entry.channel].numpy()
        found = peaks(values, floors[entry.channel], output.at_most)
        rows += [(box, point, score, entry.channel) for box, point, score in found]
    boxes, points, scores, labels = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Candidates(
        boxes=torch.from_numpy(np.array(boxes, np.float32).reshape(-1, 2 * axes)),
        points=torch.from_numpy(np.array(points, np.float32).reshape(-1, axes)),
        scores=torch.tensor(scores, dtype=torch.float32),
        labels=torch.tensor(labels, dtype=torch.long),
    )


def peaks(values: Floats, floor: float, at_most: int) -> list[tuple[Floats, Floats, float]]:
    """(box, point, value) of local maxima of `floor` or more, the highest first.

    A maximum within the half-height region of a higher one belongs to that, and no region takes
    from that of a higher one. The point of a flat top is its middle.
    """
    is_top = values == ndimage.maximum_filter(values, size=3, mode="nearest")
    tops = np.argwhere(is_top & (values >= np.float32(floor)) & (values > 0))
    tops = tops[np.argsort(-values[tuple(tops.T)], kind="stable")]
    # a peak's region lies within one of these, so only their surroundings are looked at again
    pieces, _ = ndimage.label(values >= np.float32(floor / 2))
    around = ndimage.find_objects(pieces)
    taken = np.zeros(values.shape, np.bool_)
    found: list[tuple[Floats, Floats, float]] = []
    while len(tops) and len(found) < at_most:
        top = tuple(tops[0])
        height = float(values[top])
        window = around[pieces[top] - 1]
        start = np.array([each.start for each in window])
        regions, _ = ndimage.label((values[window] >= np.float32(height / 2)) & ~taken[window])
        region = regions == regions[tuple(tops[0] - start)]
        places = np.argwhere(region) + start
        box = np.concatenate([places.min(0) - 0.5, places.max(0) + 0.5]).astype(np.float32)
        flat = places[values[tuple(places.T)] == values[top]]
        found.append((box, flat.mean(0).astype(np.float32), height))
        taken[window] |= region
        tops = tops[~taken[tuple(tops.T)]]
    return found


def _floors(output: DetectionOutput) -> Mapping[int, float]:
    """By label: below this a candidate neither counts nor leaves its class undecided."""
    return {
        entry.channel: min(entry.threshold, *(entry.undecided or (1.0,)))
        for entry in output.classes
    }


def _turned_back(corners: Tensor, shape: Tensor, flip: Axes) -> Tensor:
    axes = len(shape)
    turned = corners.clone()
    for axis in flip:
        last = shape[axis] - 1
        turned[:, axis] = last - corners[:, axes + axis]
        turned[:, axes + axis] = last - corners[:, axis]
    return turned
