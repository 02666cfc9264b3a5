"""SEG in OHIF: names, colours, and the voxels that the model marked, where it marked them."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import pytest

from dicom_ai_node.form import Kind
from tests.encoders.made import SEGMENTS
from tests.viewers import dwv, made
from tests.viewers.made import Made
from tests.viewers.room import Room

pytestmark = [pytest.mark.viewers, pytest.mark.orthanc, pytest.mark.slow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacks:
    """All in one study, so that a viewer opens once."""

    study: str
    ct: Made
    mr: Made
    overlapping: Made


@pytest.fixture(scope="module")
def stacks(room: Room) -> Stacks:
    source = made.stack("ct", modality="CT")
    turned = made.stack("mr", modality="MR", orientation=made.TURNED)
    ct = made.objects_of("of CT", made.made.findings(source), source)
    mr = made.objects_of("of MR", made.made.findings(turned), turned)
    both = made.objects_of("overlapping", made.overlapping(source), source)
    study = room.send(source, turned, ct.datasets, mr.datasets, both.datasets)
    return Stacks(study=study, ct=ct, mr=mr, overlapping=both)


@pytest.mark.parametrize("name", ["ct", "mr"])
def test_each_segment_has_its_name_its_color_and_every_voxel(
    room: Room, stacks: Stacks, name: str
) -> None:
    this: Made = getattr(stacks, name)
    ohif = room.ohif
    ohif.open_study(stacks.study, "segmentation")
    title = this.one(Kind.SEG).SeriesDescription
    ohif.open_series(title)
    segments = ohif.segments(title, 2)
    assert {label: segment.color for label, segment in segments.items()} == {
        "Lung": [230, 60, 60],
        "Heart": [60, 120, 230],
    }
    (mask,) = this.result.masks
    for label, segment in segments.items():
        count, centre = _sent([mask], label)
        assert segment.voxels == count
        assert np.abs(np.array(segment.centre) - centre).max() < 0.1
        ohif.wait_for_text(label)
    assert not ohif.errors
    assert not ohif.elsewhere


def test_masks_that_overlap_are_all_there(room: Room, stacks: Stacks) -> None:
    ohif, masks = room.ohif, stacks.overlapping.result.masks
    ohif.open_study(stacks.study, "segmentation")
    for label, seg in zip(("Lung", "Heart"), stacks.overlapping.every(Kind.SEG), strict=True):
        ohif.open_series(seg.SeriesDescription)
        segments = ohif.segments(seg.SeriesDescription, 1)
        assert [*segments] == [label]
        assert segments[label].voxels == _sent(masks, label)[0]
    assert not ohif.errors


def _sent(masks: Sequence[hd.Volume], label: str) -> tuple[int, np.ndarray]:
    """Voxels of the segment, and their centre: LPS, mm."""
    (number,) = [segment.number for segment in SEGMENTS if segment.label == label]
    (mask,) = [mask for mask in masks if (mask.array == number).any()]
    voxels = np.argwhere(mask.array == number)
    return len(voxels), mask.map_indices_to_reference(voxels).mean(axis=0)


def test_a_second_viewer_counts_the_same_voxels(room: Room, stacks: Stacks) -> None:
    this, (mask,) = stacks.ct, stacks.ct.result.masks
    images, seg = this.source[0].SeriesInstanceUID, this.one(Kind.SEG).SeriesInstanceUID
    seen = dwv.read(room, stacks.study, images, seg)
    assert not seen["errors"]
    assert seen["counts"] == {"1": _sent([mask], "Lung")[0], "2": _sent([mask], "Heart")[0]}
    assert seen["segments"] == [
        {"number": 1, "label": "Lung", "color": [230, 60, 60]},
        {"number": 2, "label": "Heart", "color": [60, 120, 230]},
    ]


def test_a_seg_of_usual_size_has_every_voxel(room: Room) -> None:
    """512 × 512: frames of whole bytes, unlike those of small phantoms."""
    source = made.stack("large", shape=(4, 512, 512), spacing=(5.0, 0.5, 0.5), study="large")
    this = made.objects_of("of a large CT", made.made.findings(source), source)
    ohif = room.ohif
    ohif.open_study(room.send(source, this.datasets), "segmentation")
    title = this.one(Kind.SEG).SeriesDescription
    ohif.open_series(title)
    segments = ohif.segments(title, len(this.one(Kind.SEG).SegmentSequence))
    for label, segment in segments.items():
        count, centre = _sent(this.result.masks, label)
        assert segment.voxels == count
        assert np.abs(np.array(segment.centre) - centre).max() < 0.1
