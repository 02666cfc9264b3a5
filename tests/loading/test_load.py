"""Stored instances become a volume, or a sentence that a radiologist understands."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, RLELossless

from dicom_ai_node.loading.load import load, load_headers
from dicom_ai_node.loading.unread import Damaged
from tests.dicom_factory import AXIAL, CORONAL, SAGITTAL, asymmetric, series, write
from tests.loading.loaded import (
    everywhere_without,
    loaded,
    put,
    put_bytes,
    put_everywhere,
    refusal,
    without,
)
from tests.made import stored

fault = pytest.mark.fault

OBLIQUE = (0.96, 0.28, 0.0, -0.168, 0.576, 0.8)


@pytest.mark.parametrize(
    "orientation",
    [AXIAL, SAGITTAL, CORONAL, OBLIQUE],
    ids=["axial", "sagittal", "coronal", "oblique"],
)
def test_every_voxel_lies_where_its_header_says(
    tmp_path: Path, orientation: Sequence[float]
) -> None:
    instances = series(orientation=orientation, origin=(-40, -36, -30))
    volume = loaded(tmp_path, instances).volume
    assert volume.array.dtype == np.float32
    pixels = asymmetric((12, 48, 40))
    for k, row, column in [(0, 0, 0), (2, 8, 7), (5, 23, 19), (11, 47, 39)]:
        ds = instances[k]
        iop, (rows, columns) = np.array(ds.ImageOrientationPatient), ds.PixelSpacing
        place = np.array(ds.ImagePositionPatient)
        place = place + iop[:3] * columns * column + iop[3:] * rows * row
        index = np.rint(volume.map_reference_to_indices(place[None])[0]).astype(int)
        assert volume.array[tuple(index)] == pixels[k, row, column]


def test_the_order_of_files_does_not_matter(tmp_path: Path, dice: random.Random) -> None:
    instances = series()
    sorted_volume = loaded(tmp_path / "sorted", instances).volume
    dice.shuffle(instances)
    shuffled = loaded(tmp_path / "shuffled", instances).volume
    assert shuffled.geometry_equal(sorted_volume)
    assert np.array_equal(shuffled.array, sorted_volume.array)


def test_values_are_in_modality_units(tmp_path: Path) -> None:
    instances = series()
    for ds in instances:
        ds.RescaleSlope, ds.RescaleIntercept = "2", "-1024"
    volume = loaded(tmp_path, instances).volume
    assert {float(volume.array.min()), float(volume.array.max())} == {-2824.0, -224.0}


def test_inverted_display_does_not_invert_hounsfield_units(tmp_path: Path) -> None:
    plain = loaded(tmp_path / "plain", series()).volume
    instances = series()
    put_everywhere("PhotometricInterpretation", "MONOCHROME1")(instances)
    assert np.array_equal(loaded(tmp_path / "inverted", instances).volume.array, plain.array)
    mr = series(modality="MR")
    put_everywhere("PhotometricInterpretation", "MONOCHROME1")(mr)
    assert refusal(tmp_path / "mr", mr).startswith("The images are stored inverted (MONOCHROME1)")


def test_headers_come_without_pixels(tmp_path: Path) -> None:
    data = loaded(tmp_path, series())
    assert len(data.headers) == 12
    assert not any("PixelData" in header for header in data.headers)
    assert data.volume.frame_of_reference_uid == data.headers[0].FrameOfReferenceUID


@pytest.mark.parametrize("syntax", [RLELossless, ExplicitVRBigEndian], ids=lambda s: s.name)
def test_the_transfer_syntax_does_not_matter(tmp_path: Path, syntax: str) -> None:
    plain = loaded(tmp_path / "plain", series()).volume
    instances = series()
    for ds in instances:
        if syntax == RLELossless:
            ds.compress(RLELossless)
        else:
            ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
            ds.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(loaded(tmp_path / "other", instances).volume.array, plain.array)


def moved(index: int, *, by: float) -> Callable[[list[Dataset]], None]:
    def change(instances: list[Dataset]) -> None:
        x, y, z = instances[index].ImagePositionPatient
        instances[index].ImagePositionPatient = [x, y, z + by]

    return change


def smaller(instances: list[Dataset]) -> None:
    ds = instances[3]
    ds.pop("Rows")
    ds.Rows, ds.PixelData = 24, ds.PixelData[: 24 * 40 * 2]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            lambda made: made.pop(5),
            "1 slice(s) are missing in the middle of the series (a gap of",
            marks=fault("D1"),
        ),
        pytest.param(
            lambda made: made.__delitem__(slice(4, 7)),
            "3 slice(s) are missing in the middle",
            marks=fault("D1"),
        ),
        pytest.param(moved(5, by=-5), "Two images lie at the same position", marks=fault("D4")),
        (moved(5, by=1.5), "The slices are not evenly spaced (3.50 to 6.50 mm)."),
        pytest.param(smaller, "The series mixes images of several sizes.", marks=fault("D10")),
        pytest.param(
            put("ImageOrientationPatient", list(SAGITTAL)),
            "The series mixes images of several ori",
            marks=fault("D10"),
        ),
        (put("PixelSpacing", [1.5, 2.1]), "The series mixes images of several pixel spacings."),
        pytest.param(
            put("FrameOfReferenceUID", "1.2.3"),
            "The series mixes images of several frames of ref",
            marks=fault("D10"),
        ),
        pytest.param(
            without("ImagePositionPatient"),
            "ImagePositionPatient is missing or not a number",
            marks=fault("D17"),
        ),
        pytest.param(
            without("PixelSpacing"), "PixelSpacing is missing or not a number", marks=fault("D17")
        ),
        pytest.param(
            without("ImageOrientationPatient"),
            "ImageOrientationPatient is missing or not a",
            marks=fault("D17"),
        ),
        pytest.param(
            put("ImagePositionPatient", ["1", "2", "NaN"]),
            "ImagePositionPatient is missing or not",
            marks=fault("D16"),
        ),
        (put("ImagePositionPatient", [1, 2]), "ImagePositionPatient is missing or not a number"),
        (put_everywhere("ImageOrientationPatient", [1, 0, 0]), "ImageOrientationPatient is missi"),
        (put_everywhere("PixelSpacing", [1.5]), "PixelSpacing is missing or not a number"),
        (put_everywhere("PixelSpacing", [0, 0]), "PixelSpacing is not above 0 in an image"),
        (everywhere_without("Rows"), "Rows is missing or not a number"),
        (everywhere_without("Columns"), "Columns is missing or not a number"),
        (everywhere_without("FrameOfReferenceUID"), "The images cannot be put together"),
        (lambda made: made.__delitem__(slice(1, None)), "The series has one slice"),
        (without("PixelData"), "An image of the series has no pixel data."),
        (put("SamplesPerPixel", 3), "The images are not grey values"),
        (put_everywhere("PhotometricInterpretation", "RGB"), "The images are not grey values (RGB"),
        (put_bytes("NumberOfFrames", b"abc "), "This is a multi-frame object"),
        pytest.param(
            put_bytes("PixelSpacing", b"0,5\\0,5 "),
            "PixelSpacing is missing or not a number",
            marks=fault("D16"),
        ),
        (put("ImagePositionPatient", [0, 0, 1e30]), "ImagePositionPatient is missing or not a"),
        (put("NumberOfFrames", "2"), "This is a multi-frame object without the position of each"),
        (put_everywhere("RescaleSlope", "NaN"), "Pixel values are not finite after rescaling."),
        pytest.param(
            put("PixelData", bytes(10)),
            "PixelData does not have the length that Rows, Columns and BitsAllocated say.",
            marks=fault("D12"),
        ),
    ],
)
def test_what_is_no_regular_volume_is_refused(
    tmp_path: Path, change: Callable[[list[Dataset]], object], sentence: str
) -> None:
    instances = series()
    change(instances)
    said = refusal(tmp_path, instances)
    assert said.startswith(sentence)
    assert said.endswith(".")


def test_positions_may_be_rounded(tmp_path: Path) -> None:
    instances = series(spacing=(7, 1, 1))
    moved(5, by=0.07)(instances)
    assert loaded(tmp_path, instances).volume.shape == (12, 48, 40)


def test_a_changed_file_is_not_analysed(tmp_path: Path) -> None:
    paths = write(series(), tmp_path)
    instances = stored(paths)
    content = bytearray(paths[3].read_bytes())
    content[-1] ^= 1
    paths[3].write_bytes(content)
    with pytest.raises(Damaged, match="a stored image is damaged, its checksum differs"):
        load(instances)
    paths[3].unlink()
    with pytest.raises(Damaged):
        load(instances)


def test_headers_for_a_report_are_not_checked(tmp_path: Path) -> None:
    (only,) = series(shape=(1, 8, 8))
    (header,) = load_headers(stored(write([only], tmp_path)))
    assert header.PatientID == only.PatientID
    assert "PixelData" not in header
