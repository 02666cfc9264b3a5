"""Reports in OHIF: every number is on the screen, and each detection is drawn with its name."""

from collections.abc import Iterator

import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.form import Kind
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, ImageMask, Result
from tests import dicom_factory
from tests.encoders.made import SEGMENTS, findings, groups, named, walk
from tests.viewers import made
from tests.viewers.made import Made
from tests.viewers.room import Room

pytestmark = [pytest.mark.viewers, pytest.mark.orthanc, pytest.mark.slow]

TRACKING_UID, REGION = "112040", "111030"


@pytest.fixture(scope="module")
def stacks(room: Room) -> tuple[str, Made, Made, Made]:
    source = made.stack("reported", study="reports")
    segments = made.objects_of("volumes", findings(source), source)
    boxes = made.objects_of("boxes", made.detections(source), source)
    maps = made.objects_of("map", made.saliency(source), source)
    study = room.send(source, *(each.datasets for each in (segments, boxes, maps)))
    return study, segments, boxes, maps


@pytest.fixture(scope="module")
def radiograph(room: Room) -> tuple[str, Made]:
    (image,) = [
        dicom_factory.radiograph(np.arange(64 * 48).reshape(64, 48), name="x-ray", modality="CR")
    ]
    image.PixelSpacing = image.ImagerPixelSpacing = [0.5, 0.5]
    array = np.zeros((64, 48), np.uint8)
    array[10:30, 8:20], array[40:50, 30:40] = 1, 3
    found = tuple(
        Finding(
            tracking_identifier=f"{segment.label} 1",
            code=segment.type,
            segment_number=segment.number,
            image=image.SOPInstanceUID,
        )
        for segment in (SEGMENTS[0], SEGMENTS[2])
    )
    mask = ImageMask(sop_instance_uid=image.SOPInstanceUID, array=array)
    result = Result(
        outcome=Outcome.FINDINGS, image_masks=(mask,), segments=SEGMENTS, findings=found
    )
    this = made.objects_of("x-ray", result, [image])
    return room.send([image], this.datasets), this


def numbers_by_image(sr: Dataset) -> Iterator[tuple[str, set[str]]]:
    """The image of each outline, and what was measured under its tracking UID, in two decimals."""
    for group in groups(sr, "1410"):
        for region in named(group, REGION):
            (source,) = region.ContentSequence[0].ReferencedSOPSequence
            tracked = named(group, TRACKING_UID)[0].UID
            same = [
                each
                for template in ("1410", "1411", "1501")
                for each in groups(sr, template)
                if tracked == named(each, TRACKING_UID)[0].UID
            ]
            numbers = {
                f"{float(item.MeasuredValueSequence[0].NumericValue):.2f}"
                for each in same
                for item in walk(each)
                if item.ValueType == "NUM"
            }
            yield source.ReferencedSOPInstanceUID, numbers


def test_every_number_of_a_segment_report_is_on_the_screen(
    room: Room, stacks: tuple[str, Made, Made, Made]
) -> None:
    study, segments, *_ = stacks
    room.ohif.open_study(study)
    _all_numbers_are_shown(room, segments.one(Kind.SR), expected=4)


def test_a_report_of_a_radiograph_is_on_the_screen(
    room: Room, radiograph: tuple[str, Made]
) -> None:
    study, this = radiograph
    room.ohif.open_study(study)
    _all_numbers_are_shown(room, this.one(Kind.SR), expected=2)


def _all_numbers_are_shown(room: Room, sr: Dataset, *, expected: int) -> None:
    """OHIF goes to the first outline by itself; a reader goes on with the arrow beside it."""
    room.ohif.open_series(sr.SeriesDescription)
    seen = 0
    for _, numbers in numbers_by_image(sr):
        if seen:
            room.ohif.next_measurement()
        for number in numbers:
            room.ohif.wait_for_text(number)
        seen += len(numbers)
    assert seen == expected


def test_detections_are_drawn_with_their_names_and_certainties(
    room: Room, stacks: tuple[str, Made, Made, Made]
) -> None:
    study, _, boxes, _ = stacks
    room.ohif.open_study(study)
    room.ohif.open_series(boxes.one(Kind.SR).SeriesDescription)
    box, point = room.ohif.measurements(2)
    assert (box["tool"], box["label"]) == ("RectangleROI", "AI Nodule 1 (93 %)")
    assert (point["tool"], point["label"]) == ("Probe", "AI Nodule 2 (93 %)")
    assert [each["image"] for each in (box, point)] == [
        image.SOPInstanceUID for image in boxes.source[1:3]
    ]
    assert not room.ohif.errors


def test_a_study_with_a_map_opens(room: Room, stacks: tuple[str, Made, Made, Made]) -> None:
    study, *_, maps = stacks
    room.ohif.open_study(study)
    pm = maps.one(Kind.PM)
    assert room.ohif.series()[pm.SeriesDescription] == "PMAP"
    room.ohif.open_series(pm.SeriesDescription)
    room.ohif.open_series("reported")
    assert room.ohif.image(maps.source[0].SeriesInstanceUID)["rows"] == 64
    assert not room.ohif.errors
