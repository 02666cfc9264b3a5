"""An output that is detections: findings with a place in the patient, or on an image."""

from dataclasses import replace

import numpy as np
import torch
from monai.data.box_utils import box_iou
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from torch import Tensor

from dicom_ai_node.config.outputs import ClassEntry, DetectionOutput
from dicom_ai_node.input import ProjectionImage
from dicom_ai_node.models.network.candidates import Candidates, candidates, heat, of_boxes
from dicom_ai_node.models.network.classification import found, judged, wavers
from dicom_ai_node.models.network.part import Part
from dicom_ai_node.models.network.prepare import Prepared
from dicom_ai_node.models.network.seen import Seen
from dicom_ai_node.models.network.uncertainty import spread_of
from dicom_ai_node.result import (
    Answer,
    Assessment,
    BoxInImage,
    BoxInPatient,
    Finding,
    Measurement,
    Region,
)

LENGTH = Code(codes.SCT.Length.value, "SCT", codes.SCT.Length.meaning)
Corner = NDArray[np.float64]


def detection(seen: Seen, output: DetectionOutput) -> Part:
    """The best first. A class of which nothing counts is absent, or undecided."""
    grid = seen.grid
    image = None if grid.image is None else grid.image.sop_instance_uid
    best = candidates(seen, output)
    best = best.take(torch.tensor(_on_source(best, grid), dtype=torch.bool))
    spreads = spread_of(_scores_of_all(seen, output, best))
    by_channel = {entry.channel: entry for entry in output.classes}
    findings: list[Finding] = []
    doubtful: dict[int, float] = {}  # the best that is undecided, by label
    counted: set[int] = set()
    for index, (label, score) in enumerate(
        zip(best.labels.tolist(), best.scores.tolist(), strict=True)
    ):
        entry = by_channel[label]
        spread = None if spreads is None else float(spreads[index])
        if judged(entry, score) is not None or wavers(spread, output.abstain_above):
            doubtful.setdefault(label, score)
            continue
        counted.add(label)
        if len(findings) < output.at_most:
            findings.append(_finding(entry, best, index, spread, output, grid))
    return Part(
        findings=tuple(findings),
        assessments=tuple(
            _assessment(entry, doubtful.get(entry.channel), image)
            for entry in output.classes
            if entry.channel not in counted
        ),
    )


def _assessment(entry: ClassEntry, doubtful: float | None, image: str | None) -> Assessment:
    answer = Answer.ABSENT if doubtful is None else Answer.UNDECIDED
    return Assessment(
        code=entry.finding,
        answer=answer,
        probability=doubtful,
        site=entry.site,
        laterality=entry.laterality,
        image=image,
    )


def _finding(
    entry: ClassEntry,
    best: Candidates,
    index: int,
    spread: float | None,
    output: DetectionOutput,
    grid: Prepared,
) -> Finding:
    image = None if grid.image is None else grid.image.sop_instance_uid
    plain = found(entry, float(best.scores[index]), spread, image)
    if output.region == "point":
        point = best.points[index].double().numpy()
        region, edges = _region(grid, point, point), None
    else:
        low, high = best.boxes[index].double().numpy().reshape(2, -1)
        region = _region(grid, low, high)
        edges = _edges(region, grid.image)
    length = () if edges is None else (_longest(edges),)
    return replace(plain, region=region, measurements=(*length, *plain.measurements))


def _region(grid: Prepared, low: Corner, high: Corner) -> Region:
    """From corners in voxels of the prepared grid."""
    axes = len(low)
    if grid.image is None:
        half_axes = (grid.affine[:axes, :axes] * ((high - low) / 2)).T
        center = _mapped(grid.affine, (low + high) / 2)
        return BoxInPatient(center=center, half_axes=half_axes)
    corners = np.stack([_mapped(grid.affine, low), _mapped(grid.affine, high)])
    # pixel indices are (row, column) with centres at whole numbers; SCOORD counts from the edge
    inside = (corners + 0.5).clip(0, grid.source_shape)
    (top, left), (bottom, right) = inside.min(0).tolist(), inside.max(0).tolist()
    return BoxInImage(
        sop_instance_uid=grid.image.sop_instance_uid, low=(left, top), high=(right, bottom)
    )


def _edges(region: Region, image: ProjectionImage | None) -> list[float] | None:
    """Their lengths in mm; None where pixels have no known size."""
    if isinstance(region, BoxInPatient):
        return [2 * float(np.linalg.norm(half)) for half in region.half_axes]
    if image is None or image.pixel_spacing is None:
        return None
    row_mm, column_mm = image.pixel_spacing
    return [
        (region.high[0] - region.low[0]) * column_mm,
        (region.high[1] - region.low[1]) * row_mm,
    ]


def _longest(edges: list[float]) -> Measurement:
    return Measurement(name=LENGTH, value=round(max(edges), 2), unit=codes.UCUM.Millimeter)


def _on_source(best: Candidates, grid: Prepared) -> list[bool]:
    """Whether each lies, by its middle, on the images, and not in what was padded to them."""
    to_source = np.linalg.inv(grid.source_affine) @ grid.affine
    limit = np.array(grid.source_shape) - 0.5
    places = [_mapped(to_source, point.double().numpy()) for point in best.points]
    return [bool((place >= -0.5).all() and (place <= limit).all()) for place in places]


def _mapped(affine: NDArray[np.float64], index: Corner) -> Corner:
    mapped: Corner = affine[:-1, :-1] @ index + affine[:-1, -1]
    return mapped


def _scores_of_all(seen: Seen, output: DetectionOutput, best: Candidates) -> Tensor:
    """(answers, n): what each answer says of the same places; 0 where it has no such box."""
    if len(seen.answers) == 1 or not len(best):
        return best.scores[None]
    if output.form == "heatmap":
        # a flat top's middle may lie between voxels
        places = [best.labels, *best.points.round().long().T]
        return torch.stack([field[tuple(places)] for field in heat(seen, output)])
    others = [of_boxes(seen, output, answer) for answer in range(1, len(seen.answers))]
    return torch.stack([best.scores, *(_matching(best, other) for other in others)])


def _matching(best: Candidates, other: Candidates) -> Tensor:
    """The highest score of a box of the same class that covers at least half of both together."""
    if not len(other):
        return torch.zeros_like(best.scores)
    overlap = torch.as_tensor(box_iou(best.boxes, other.boxes))
    same = (overlap >= 0.5) & (best.labels[:, None] == other.labels[None])
    return torch.where(same, other.scores[None], 0.0).amax(1)
