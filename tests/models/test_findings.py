"""From a mask to segments and volumes."""

import highdicom as hd
import numpy as np

from dicom_ai_node.job import Outcome
from dicom_ai_node.models.findings import area, result_from_mask, voxel_counts
from tests.models.phantom import package, volume


def test_a_finding_names_its_segment_and_measures_its_volume() -> None:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 1:3, 1:4] = 3  # 12 voxels of 2 × 3 × 5 mm
    result = result_from_mask(volume(mask), package())
    assert result.outcome is Outcome.FINDINGS
    (segment,) = result.segments
    assert (segment.number, segment.label, segment.color) == (3, "Bone", (1, 2, 3))
    (finding,) = result.findings
    assert finding.tracking_identifier == "Bone 1"
    assert finding.code == segment.type
    assert finding.segment_number == 3
    (measurement,) = finding.measurements
    assert measurement.value == 0.36
    assert measurement.name.value == "118565006"
    assert (measurement.unit.value, measurement.unit.scheme_designator) == ("mL", "UCUM")


def test_the_volume_is_the_voxels_whatever_their_order() -> None:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 1:3, 1:4] = 3
    turned = volume(mask).permute_spatial_axes((2, 0, 1)).flip_spatial(1)
    result = result_from_mask(turned, package())
    assert result.findings[0].measurements[0].value == 0.36


def test_an_empty_mask_finds_nothing() -> None:
    result = result_from_mask(volume(np.zeros((4, 5, 6), np.uint8)), package())
    assert (result.outcome, result.masks, result.segments, result.findings) == (
        Outcome.NONE, (), (), (),
    )  # fmt: skip


def test_voxels_are_counted_by_number() -> None:
    labels = np.random.default_rng(0).integers(0, 256, (7, 11, 13)).astype(np.uint8)
    turned = labels.transpose(2, 0, 1)[::-1]
    expected = [np.count_nonzero(labels == number) for number in range(256)]
    assert voxel_counts(turned).tolist() == expected


def test_a_few_small_voxels_are_not_nothing() -> None:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1, 1, 1] = 3
    fine = hd.Volume(mask, np.diag([0.3, 0.3, 0.5, 1.0]), coordinate_system="PATIENT")
    assert result_from_mask(fine, package()).findings[0].measurements[0].value == 0.000045
    assert area(4, (0.1, 0.1)).value == 0.0004
