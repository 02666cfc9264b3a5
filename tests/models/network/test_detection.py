"""Where a network detects something: in the patient, or on an image."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.network.candidates import peaks
from dicom_ai_node.result import Answer, BoxInImage, BoxInPatient
from tests.models.network.oblique import (
    SHAPE,
    SPACING,
    entry,
    images_input,
    package,
    patient,
    predict,
    rotation,
    volume_input,
)

NODULE = entry(0, label="AI nodule")
LABELS = (("L", "R"), ("P", "A"), ("I", "S"))  # MONAI warns of its default
CALCIFICATION = entry(1, label="AI calcification", finding="SCT:129748001:Calcification")


def boxes(**changes: Any) -> dict[str, Any]:
    return {"task": "detection", "classes": [NODULE, CALCIFICATION]} | changes


def heatmap(**changes: Any) -> dict[str, Any]:
    return boxes(form="heatmap", classes=[NODULE]) | changes


def detector(*found: tuple[list[float], float, int]) -> Any:
    """Says the same of every input."""
    answer = {
        "boxes": torch.tensor([box for box, _, _ in found], dtype=torch.float32),
        "scores": torch.tensor([score for _, score, _ in found], dtype=torch.float32),
        "labels": torch.tensor([label for _, _, label in found], dtype=torch.int64),
    }
    return lambda batch: answer


def around_bright(batch: Tensor) -> dict[str, Tensor]:
    """A box around all that is brighter than a half, from edge to edge of its voxels."""
    places = (batch[0, 0] > 0.5).nonzero().float()
    low, high = places.amin(0) - 0.5, places.amax(0) + 0.5
    return {
        "boxes": torch.cat([low, high])[None],
        "scores": torch.tensor([0.9]),
        "labels": torch.tensor([0]),
    }


def itself(batch: Tensor) -> Tensor:
    return batch.clone()  # MONAI's windows are weighted in place


def corners(region: BoxInPatient) -> np.ndarray:
    """All eight, in an order of their own."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    found = region.center + signs @ region.half_axes
    return found[np.lexsort(found.round(4).T)]


def corners_of_voxels(low: Any, high: Any) -> np.ndarray:
    """Of the box from the outer edges of the voxel `low` to those of `high`, in the patient."""
    ends = np.stack([np.array(low) - 0.5, np.array(high) + 0.5])
    grid = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T
    found = np.array([patient([ends[g, a] for a, g in enumerate(each)]) for each in grid])
    return found[np.lexsort(found.round(4).T)]


def test_a_box_lies_in_the_patient_and_is_as_long_as_its_longest_edge() -> None:
    """Voxels 3–5, 2–7 and 10–11: 4.5 × 12 × 6 mm, oblique."""
    result = predict(
        package(boxes()), detector(([2.5, 1.5, 9.5, 5.5, 7.5, 11.5], 0.8, 0)), volume_input()
    )
    (finding,) = result.findings
    assert isinstance(finding.region, BoxInPatient)
    np.testing.assert_allclose(finding.region.center, patient([4, 4.5, 10.5]), atol=1e-4)
    half_axes = (rotation() * SPACING * np.array([1.5, 3, 1])).T
    np.testing.assert_allclose(finding.region.half_axes, half_axes, atol=1e-4)
    np.testing.assert_allclose(
        corners(finding.region), corners_of_voxels((3, 2, 10), (5, 7, 11)), atol=1e-3
    )
    (length,) = finding.measurements
    assert (length.name.meaning, length.value, length.unit.value) == ("Length", 12, "mm")
    assert finding.probability == pytest.approx(0.8)
    assert [(a.code.meaning, a.answer) for a in result.assessments] == [
        ("Calcification", Answer.ABSENT)
    ]


def test_what_0_is_in_boxes_is_said_by_the_package() -> None:
    """Half a voxel lies between the two conventions."""
    box = ([3.0, 2.0, 10.0, 6.0, 8.0, 12.0], 0.8, 0)
    center, edge = (
        predict(package(boxes(origin=origin)), detector(box), volume_input()).findings[0].region
        for origin in ("center", "edge")
    )
    np.testing.assert_allclose(center.center, patient([4.5, 5, 11]), atol=1e-4)
    np.testing.assert_allclose(edge.center, patient([4, 4.5, 10.5]), atol=1e-4)
    np.testing.assert_allclose(corners(edge), corners_of_voxels((3, 2, 10), (5, 7, 11)), atol=1e-3)
    np.testing.assert_allclose(center.half_axes, edge.half_axes)


@pytest.mark.parametrize(
    "preprocess",
    [
        [],
        [{"name": "Orientation", "axcodes": "RAS", "labels": LABELS}],
        [{"name": "Orientation", "axcodes": "SPL", "labels": LABELS}],
        [{"name": "Flip", "spatial_axis": 1}, {"name": "Rotate90", "spatial_axes": (0, 2)}],
        [{"name": "CenterSpatialCrop", "roi_size": (14, 12, 17)}],
        [{"name": "SpatialPad", "spatial_size": (20, 21, 22)}],
    ],
    ids=["plain", "RAS", "SPL", "flip and turn", "crop", "pad"],
)
def test_boxes_come_back_through_every_step_before_the_network(
    preprocess: list[dict[str, Any]],
) -> None:
    array = np.zeros(SHAPE)
    array[3:6, 2:8, 9:11] = 1
    result = predict(package(boxes(), preprocess=preprocess), around_bright, volume_input(array))
    (finding,) = result.findings
    np.testing.assert_allclose(
        corners(finding.region), corners_of_voxels((3, 2, 9), (5, 7, 10)), atol=1e-3
    )


def test_boxes_come_back_from_a_finer_grid_to_its_precision() -> None:
    array = np.zeros(SHAPE)
    array[3:6, 2:8, 9:11] = 1
    finer = [{"name": "Spacing", "pixdim": (0.75, 0.75, 0.75), "mode": "nearest"}]
    (finding,) = predict(
        package(boxes(), preprocess=finer), around_bright, volume_input(array)
    ).findings
    error = corners(finding.region) - corners_of_voxels((3, 2, 9), (5, 7, 10))
    assert np.abs(error).max() < 0.75


@pytest.mark.parametrize("name", ["Resize", "Zoom"])
def test_boxes_come_back_from_a_grid_of_another_size(name: str) -> None:
    """Twice as many voxels lie half a voxel off: their affine has to say so."""
    array = np.zeros(SHAPE)
    array[3:6, 2:8, 9:11] = 1
    step = {
        "Resize": {"spatial_size": tuple(2 * n for n in SHAPE), "mode": "nearest-exact"},
        "Zoom": {"zoom": 2.0, "mode": "nearest-exact", "keep_size": False},
    }[name]
    (finding,) = predict(
        package(boxes(), preprocess=[{"name": name} | step]), around_bright, volume_input(array)
    ).findings
    np.testing.assert_allclose(
        corners(finding.region), corners_of_voxels((3, 2, 9), (5, 7, 10)), atol=1e-2
    )


@pytest.mark.parametrize(
    "preprocess",
    [[], [{"name": "Flip", "spatial_axis": 0}], [{"name": "Rotate90"}],
     [{"name": "SpatialPad", "spatial_size": (50, 70)}]],
    ids=["plain", "flip", "turn", "pad"],
)  # fmt: skip
def test_a_box_on_an_image_counts_columns_and_rows_from_the_edge(
    preprocess: list[dict[str, Any]],
) -> None:
    """Rows 4–9 of 0.5 mm, columns 20–22 of 0.25 mm: 3 × 0.75 mm."""
    array = np.zeros((30, 40))
    array[4:10, 20:23] = 1
    result = predict(
        package(boxes(), input="images", preprocess=preprocess),
        around_bright,
        images_input(array, spacing=(0.5, 0.25)),
    )
    (finding,) = result.findings
    assert finding.image == "1.2.1"
    assert isinstance(finding.region, BoxInImage)
    assert finding.region.sop_instance_uid == "1.2.1"
    assert finding.region.low == pytest.approx((20, 4), abs=1e-4)
    assert finding.region.high == pytest.approx((23, 10), abs=1e-4)
    assert [m.value for m in finding.measurements] == [3]


def test_without_a_pixel_spacing_nothing_is_measured_on_an_image() -> None:
    data = images_input(np.ones((6, 8)), spacing=None)
    (finding,) = predict(package(boxes(), input="images"), around_bright, data).findings
    assert not finding.measurements


def test_each_image_has_its_own_boxes_and_all_findings_one_numbering() -> None:
    arrays = np.zeros((2, 10, 12))
    arrays[0, 2, 3] = arrays[1, 7, 9] = 1
    result = predict(package(boxes(), input="images"), around_bright, images_input(*arrays))
    assert [(f.tracking_identifier, f.image) for f in result.findings] == [
        ("AI nodule 1", "1.2.1"),
        ("AI nodule 2", "1.2.2"),
    ]
    assert [a.image for a in result.assessments] == ["1.2.1", "1.2.2"]


def test_the_best_comes_first_and_what_it_overlaps_is_dropped() -> None:
    """A box of another class is not overlapped by it."""
    found = detector(
        ([0, 0, 0, 4, 4, 4], 0.6, 0),
        ([0, 0, 1, 4, 4, 5], 0.7, 0),
        ([9, 6, 9, 12, 9, 12], 0.9, 0),
        ([0, 0, 0, 4, 4, 4], 0.65, 1),
        ([9, 6, 1, 12, 9, 4], 0.4, 0),
    )
    result = predict(package(boxes()), found, volume_input())
    assert [(f.tracking_identifier, round(f.probability or 0, 3)) for f in result.findings] == [
        ("AI nodule 1", 0.9),
        ("AI nodule 2", 0.7),
        ("AI calcification 1", 0.65),
    ]
    some = predict(package(boxes(at_most=2)), found, volume_input())
    assert [f.probability for f in some.findings] == pytest.approx([0.9, 0.7])
    assert not some.assessments  # the calcification is not absent: it is not among the two best


@pytest.mark.parametrize("answer", [detector(), detector(([0, 0, 0, 2, 2, 2], 0.2, 0))])
def test_finding_nothing_is_a_result_that_says_what_was_searched(answer: Any) -> None:
    result = predict(package(boxes()), answer, volume_input())
    assert (result.outcome, result.reason) == (Outcome.NONE, "Network found nothing.")
    assert [(a.code.meaning, a.answer) for a in result.assessments] == [
        ("Nodule", Answer.ABSENT),
        ("Calcification", Answer.ABSENT),
    ]


def test_a_box_of_which_the_model_is_unsure_leaves_its_class_undecided() -> None:
    unsure = boxes(classes=[entry(label="AI nodule", undecided=(0.3, 0.6))])
    result = predict(package(unsure), detector(([0, 0, 0, 2, 2, 2], 0.55, 0)), volume_input())
    assert result.outcome is Outcome.ABSTAINED
    assert [(a.answer, round(a.probability or 0, 2)) for a in result.assessments] == [
        (Answer.UNDECIDED, 0.55)
    ]


def test_boxes_end_with_the_images_and_those_beside_them_are_dropped() -> None:
    """The image is padded by 5 on each side, and the second box is in the padding alone."""
    padded = [{"name": "SpatialPad", "spatial_size": (20, 30)}]
    found = detector(([2, 2, 9.5, 11.5], 0.9, 0), ([0, 0, 4, 4], 0.8, 0))
    result = predict(
        package(boxes(), input="images", preprocess=padded), found, images_input(np.ones((10, 20)))
    )
    (finding,) = result.findings
    assert finding.region.low == (0, 0)
    assert finding.region.high == pytest.approx((7, 5))


@pytest.mark.fault("E3", "E4")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (detector(([0, 0, 0, 2, 2, 2], 1.3, 0)), "probability that is not from 0 to 1"),
        (detector(([0, 0, 0, 2, 2, 2], 0.9, 7)), "a label that no class"),
        (detector(([0, 3, 0, 2, 2, 2], 0.9, 0)), "high corner lies below its low one"),
        (detector(([0, 0, 2, 2], 0.9, 0)), r"n × 6 was due"),
        (lambda batch: {"boxes": torch.zeros(2, 6), "scores": torch.ones(2)}, "no output labels"),
    ],
)
def test_boxes_that_cannot_be_are_refused(answer: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        predict(package(boxes()), answer, volume_input())


def test_boxes_are_not_put_together_from_windows() -> None:
    windows = {"kind": "sliding_window", "roi_size": (8, 8, 8)}
    with pytest.raises(ValidationError, match="boxes want the input at once"):
        package(boxes(), inference=windows)
    assert package(heatmap(), inference=windows).outputs[0].task == "detection"


def test_a_peak_of_a_heatmap_has_the_box_of_what_is_half_as_high() -> None:
    array = np.zeros(SHAPE)
    array[3:6, 4, 10] = 0.45
    array[4, 4, 9:12] = 0.5
    array[4, 4, 10] = 0.9
    array[4, 4, 12] = 0.4
    (finding,) = predict(package(heatmap()), itself, volume_input(array)).findings
    assert finding.probability == pytest.approx(0.9)
    np.testing.assert_allclose(
        corners(finding.region), corners_of_voxels((3, 4, 9), (5, 4, 11)), atol=1e-3
    )
    assert [m.value for m in finding.measurements] == [9]


def test_a_peak_may_be_a_point() -> None:
    array = np.zeros(SHAPE)
    array[4, 4, 10] = 0.9
    array[4, 4, 11] = 0.5
    point = package(heatmap(region="point"))
    (finding,) = predict(point, itself, volume_input(array)).findings
    np.testing.assert_allclose(finding.region.center, patient([4, 4, 10]), atol=1e-4)
    assert not finding.region.half_axes.any()
    assert not finding.measurements


def test_a_point_on_an_image_is_the_middle_of_its_pixel() -> None:
    array = np.zeros((10, 12))
    array[7, 3] = 0.9
    point = package(heatmap(region="point"), input="images")
    (finding,) = predict(point, itself, images_input(array)).findings
    assert finding.region.low == finding.region.high == pytest.approx((3.5, 7.5))


def test_a_heatmap_may_be_of_logits_by_windows() -> None:
    array = np.full(SHAPE, -5.0)
    array[13, 9, 17] = 2
    array[2, 2, 2] = 1
    windows = {"kind": "sliding_window", "roi_size": (8, 8, 8)}
    result = predict(
        package(heatmap(activation="sigmoid"), inference=windows), itself, volume_input(array)
    )
    assert [f.probability for f in result.findings] == pytest.approx(
        [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1))]
    )
    np.testing.assert_allclose(result.findings[0].region.center, patient([13, 9, 17]), atol=1e-3)


def test_one_peak_for_a_plateau_and_none_within_a_higher_one() -> None:
    """7 × 1 are one flat top, with its middle; the shoulder belongs to the peak beside it."""
    flat = np.zeros((9, 11), np.float32)
    flat[4, 2:9] = 0.8
    ((box, point, height),) = peaks(flat, 0.5, 50)
    assert box.tolist() == [3.5, 1.5, 4.5, 8.5]
    assert (point.tolist(), height) == ([4, 5], pytest.approx(0.8))
    shouldered = np.array([[0, 0.9, 0.5, 0.6, 0.1, 0.55, 0]], np.float32)
    found = peaks(shouldered, 0.5, 50)
    assert [point.tolist() for _, point, _ in found] == [[0, 1], [0, 5]]
    assert [point.tolist() for _, point, _ in peaks(shouldered, 0.5, 1)] == [[0, 1]]


def test_no_region_takes_from_that_of_a_higher_peak() -> None:
    """Between them is 0.4: below half of 0.9, and above half of 0.6."""
    twins = np.array([[0, 0.9, 0.4, 0.6, 0]], np.float32)
    assert [box.tolist() for box, _, _ in peaks(twins, 0.5, 50)] == [
        [-0.5, 0.5, 0.5, 1.5],
        [-0.5, 1.5, 0.5, 3.5],
    ]


@pytest.mark.fault("E4")
@pytest.mark.parametrize(("value", "found"), [(0.0, 0), (1.0, 1)])
def test_a_heatmap_that_is_the_same_everywhere(value: float, found: int) -> None:
    """All foreground is one box of everything; all background is nothing."""
    result = predict(package(heatmap()), itself, volume_input(np.full(SHAPE, value)))
    assert len(result.findings) == found
    assert result.outcome is (Outcome.FINDINGS if found else Outcome.NONE)


@pytest.mark.fault("E3")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda batch: batch[:, :, ::2], "gave the shape .* was due"),
        (lambda batch: batch[:, :0], "gave 0 channels where 1 were due"),
        (lambda batch: batch + 3, "not from 0 to 1"),
    ],
)
def test_a_heatmap_of_another_grid_or_scale_is_refused(answer: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        predict(package(heatmap()), answer, volume_input())
