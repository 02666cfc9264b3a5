"""Our frames are those that highdicom would have made, in every geometry and every form."""

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.encoders.seg.marks import encode_marks
from dicom_ai_node.form import Segmentation
from tests.encoders import made
from tests.encoders.seg.sources import (
    FORMS,
    GEOMETRIES,
    basis,
    form,
    phantom,
    without_the_last,
)

OURS = {
    # of the run, or of finish(); UIDs are drawn by lot in highdicom
    *(*PATIENT, *STUDY),
    *("DimensionOrganizationSequence", "DimensionIndexSequence", "PixelData"),
    *("SourceImageSequence", "ReferencedSeriesSequence", "ContributingEquipmentSequence"),
    *("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime"),
    *("SeriesDate", "SeriesTime", "TimezoneOffsetFromUTC", "SeriesDescription"),
    *("BodyPartExamined", "SpecificCharacterSet", "ManufacturerModelName", "SoftwareVersions"),
    *("ContentDescription", "Manufacturer", "PatientOrientation"),
}


def ours(whole: Basis, segmentation: Segmentation, **changes: object) -> Dataset:
    (seg,) = encode_marks(whole, form(segmentation, **changes)).objects
    return made.reread(seg)


def theirs(whole: Basis, ours: Dataset, *, omit_empty_frames: bool = True) -> Dataset:
    """Of the same images, with the mask as it is."""
    (part,) = whole.parts
    headers = list({id(plane.header): plane.header for plane in part.mask.planes}.values())
    numbers = np.zeros(256, np.uint8)
    for segment in part.segments:
        numbers[segment.segment.number] = segment.number
    described = [item for item in ours.SegmentSequence if item.SegmentNumber]
    seg = hd.seg.Segmentation(
        source_images=headers,
        pixel_array=numbers[part.mask.array],
        segmentation_type=ours.SegmentationType,
        fractional_type="OCCUPANCY",
        segment_descriptions=[hd.seg.SegmentDescription.from_dataset(item) for item in described],
        series_instance_uid=ours.SeriesInstanceUID,
        series_number=ours.SeriesNumber,
        sop_instance_uid=ours.SOPInstanceUID,
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="x",
        device_serial_number=ours.DeviceSerialNumber,
        content_label=ours.ContentLabel,
        omit_empty_frames=omit_empty_frames,
    )
    return made.reread(seg)


def assert_same(ours: Dataset, theirs: Dataset) -> None:
    assert ours.NumberOfFrames == theirs.NumberOfFrames > 1
    for mine, other in zip(
        ours.PerFrameFunctionalGroupsSequence, theirs.PerFrameFunctionalGroupsSequence, strict=True
    ):
        assert mine == other
    for keyword in {element.keyword for element in (*ours, *theirs)} - OURS:
        assert ours.get(keyword) == theirs.get(keyword), keyword
    assert [item.DimensionIndexPointer for item in ours.DimensionIndexSequence] == [
        item.DimensionIndexPointer for item in theirs.DimensionIndexSequence
    ]
    assert np.array_equal(ours.pixel_array, theirs.pixel_array)
    assert len(ours.PixelData) == len(theirs.PixelData)
    assert _references(ours) == _references(theirs)


def _references(seg: Dataset) -> list[list[str]]:
    (series,) = seg.ReferencedSeriesSequence
    return [
        sorted(item.ReferencedSOPInstanceUID for item in items)
        for items in (seg.SourceImageSequence, series.ReferencedInstanceSequence)
    ]


@pytest.mark.result_rule(5, 6, 7, 8)
@pytest.mark.parametrize("segmentation", FORMS)
@pytest.mark.parametrize("geometry", [name for name in GEOMETRIES if name != "concatenation"])
def test_the_same_object_of_every_geometry(geometry: str, segmentation: Segmentation) -> None:
    whole = basis(GEOMETRIES[geometry]())
    mine = ours(whole, segmentation)
    assert_same(mine, theirs(whole, mine))


@pytest.mark.parametrize("segmentation", FORMS)
def test_the_same_object_of_one_segment(segmentation: Segmentation) -> None:
    """Which is said once for all frames, and makes the dimensions those of a volume."""
    whole = without_the_last(basis(phantom()))
    mine = ours(whole, segmentation)
    assert mine.DimensionOrganizationType == "3D"
    assert_same(mine, theirs(whole, mine))


@pytest.mark.parametrize("segmentation", FORMS)
@pytest.mark.parametrize("of_one", [True, False], ids=["one segment", "two segments"])
def test_the_same_object_with_frames_that_are_empty(
    segmentation: Segmentation, of_one: bool
) -> None:
    whole = basis(phantom())
    whole = without_the_last(whole) if of_one else whole
    mine = ours(whole, segmentation, keep_empty_frames=True)
    one_for_all = of_one or segmentation is Segmentation.LABELMAP
    assert mine.NumberOfFrames == len(whole.sources) * (1 if one_for_all else 2)
    assert_same(mine, theirs(whole, mine, omit_empty_frames=False))


@pytest.mark.parametrize("columns", [8, 13])
def test_pixels_fill_whole_bytes_or_run_on(columns: int) -> None:
    """PS3.5 8.1.1: a frame of 8 × n pixels starts with a byte, one of 91 anywhere."""
    whole = basis(phantom(shape=(9, 7, columns)))
    mine = ours(whole, Segmentation.BINARY)
    assert_same(mine, theirs(whole, mine))
