"""A mask comes back on the source's own frames, also where those are no straight stack."""

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.predict import predict
from dicom_ai_node.report import Report
from dicom_ai_node.result import Result
from tests.dicom_factory import enhanced, series, write
from tests.encoders import made
from tests.made import bright

SHAPE = (24, 64, 56)
SPACING = (2.5, 1.0, 1.25)
MIDWAY = {"between": (-250, 3000)}  # of the box's 400 and its surroundings' -900: no bias at edges


def segmented(folder: Path, instances: Sequence[Dataset]) -> tuple[Report, Dataset, Dataset]:
    write(instances, folder / "study")
    ((_, report),) = predict(folder / "study", bright(folder, **MIDWAY), folder / "out")
    assert report.outcome is Outcome.FINDINGS, report.reason
    return report, *(pydicom.dcmread(folder / "out" / name) for name in ("1-seg.dcm", "2-sr.dcm"))


def phantom(**changes: object) -> list[Dataset]:
    return series(name="sources", shape=SHAPE, spacing=SPACING, **changes)


def box_ml(instances: Sequence[Dataset]) -> float:
    voxels = sum(int((ds.pixel_array > 0).sum()) for ds in instances)
    return voxels * float(np.prod(SPACING)) / 1000


def voxels_ml(seg: Dataset) -> float:
    return int(seg.pixel_array.sum()) * float(np.prod(SPACING)) / 1000


def frames_of(seg: Dataset) -> list[tuple[Dataset, Dataset, np.ndarray]]:
    """Its functional groups, its one source item, its pixels."""
    pixels = seg.pixel_array.reshape(seg.NumberOfFrames, seg.Rows, seg.Columns)
    return [
        (groups, groups.DerivationImageSequence[0].SourceImageSequence[0], image)
        for groups, image in zip(seg.PerFrameFunctionalGroupsSequence, pixels, strict=True)
    ]


@pytest.mark.fault("D13")
@pytest.mark.parametrize("tilt_deg", [15.0, -20.0])
def test_a_mask_of_a_tilted_stack_lies_on_the_slices_of_the_source(
    tmp_path: Path, tilt_deg: float
) -> None:
    instances = phantom(tilt_deg=tilt_deg)
    report, seg, sr = segmented(tmp_path, instances)
    sources = {ds.SOPInstanceUID: ds for ds in instances}
    assert (seg.Rows, seg.Columns) == SHAPE[1:]
    for groups, item, image in frames_of(seg):
        source = sources[item.ReferencedSOPInstanceUID]
        assert groups.PlanePositionSequence[0].ImagePositionPatient == source.ImagePositionPatient
        # nearest pixels after linear ones: no edge is off by more than half a pixel
        theirs = source.pixel_array > 0
        wrong = image.astype(bool) ^ theirs
        assert not wrong[:, 1:-1][np.abs(np.gradient(theirs[:, 1:-1] * 1.0, axis=0)) == 0].any()
    assert voxels_ml(seg) == pytest.approx(box_ml(instances), rel=0.03)
    ((_, _, measured, unit),) = report.measurements
    assert unit == "mL"
    assert measured == pytest.approx(box_ml(instances), rel=0.03)
    assert float(made.named(sr, "118565006")[0].MeasuredValueSequence[0].NumericValue) == measured


@pytest.mark.fault("D13")
def test_without_a_tilt_nothing_is_lost(tmp_path: Path) -> None:
    instances = phantom()
    report, seg, _ = segmented(tmp_path, instances)
    assert voxels_ml(seg) == pytest.approx(box_ml(instances))
    assert report.measurements[0][2] == pytest.approx(box_ml(instances))


@pytest.mark.fault("D22")
@pytest.mark.parametrize("parts", [1, 3], ids=["one object", "concatenation"])
@pytest.mark.parametrize("tilt_deg", [0.0, 15.0], ids=["straight", "tilted"])
def test_a_mask_of_a_multi_frame_source_names_object_and_frame(
    tmp_path: Path, parts: int, tilt_deg: float
) -> None:
    instances = phantom(tilt_deg=tilt_deg)
    objects = enhanced(instances[::-1], parts=parts)
    report, seg, sr = segmented(tmp_path, objects)
    by_place = {tuple(ds.ImagePositionPatient): ds.pixel_array > 0 for ds in instances}
    sources = {ds.SOPInstanceUID: ds for ds in objects}
    for groups, item, image in frames_of(seg):
        source = sources[item.ReferencedSOPInstanceUID]
        frame = source.PerFrameFunctionalGroupsSequence[int(item.ReferencedFrameNumber) - 1]
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert groups.PlanePositionSequence[0].ImagePositionPatient == place
        if not tilt_deg:
            assert np.array_equal(image, by_place[tuple(place)])
    (referenced,) = seg.ReferencedSeriesSequence
    uids = {each.ReferencedSOPInstanceUID for each in referenced.ReferencedInstanceSequence}
    assert uids == set(sources)
    assert voxels_ml(seg) == pytest.approx(box_ml(instances), rel=0.03 if tilt_deg else 1e-6)
    assert report.measurements[0][2] == pytest.approx(voxels_ml(seg), rel=0.03)
    cited = {item.ReferencedSOPInstanceUID for item in walk_references(sr)}
    assert cited <= {*sources, *(each.sop_instance_uid for each in report.objects)}
    assert cited & set(sources)


def walk_references(sr: Dataset) -> list[Dataset]:
    return [
        reference for item in made.walk(sr) for reference in item.get("ReferencedSOPSequence", [])
    ]


@pytest.mark.fault("D22")
def test_highdicom_reads_it_back_where_the_source_lies(tmp_path: Path) -> None:
    _, seg, _ = segmented(tmp_path, enhanced(phantom()))
    back = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    true = hd.get_volume_from_series(phantom())
    mask = back.match_geometry(true)
    assert np.array_equal(mask.array, true.array > 0)


@pytest.mark.fault("D13")
@pytest.mark.parametrize("change", ["moved", "too small"])
def test_a_mask_beside_a_tilted_source_is_the_models_fault(change: str) -> None:
    instances = phantom(tilt_deg=15)
    flat = np.array([[0, 0, 1.25, -40], [0, 1, 0, -36], [2.5, 0, 0, -30], [0, 0, 0, 1.0]])
    if change == "moved":
        flat[1, 3] -= 5
    grown = SHAPE[1] + 16 - 2 * (change == "too small")
    mask = hd.Volume(
        np.ones((SHAPE[0], grown, SHAPE[2]), np.uint8),
        flat,
        "PATIENT",
        frame_of_reference_uid=instances[0].FrameOfReferenceUID,
    )
    wrong = Result(outcome=Outcome.FINDINGS, masks=(mask,), segments=made.SEGMENTS[:1])
    with pytest.raises(ModelError, match="does not lie on"):
        encode(wrong, made.without_pixels(instances), made.run(), ("seg",))
