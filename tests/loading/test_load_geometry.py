"""Stacks that lie in every way a scanner may lay them, and those that are none."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from tests.dicom_factory import AXIAL, asymmetric, series
from tests.loading.loaded import loaded, put, put_bytes, put_everywhere, refusal

fault = pytest.mark.fault

FEET_FIRST = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PRONE = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
FLIPPED = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
# an even ramp down each slice: between its rows, linear interpolation is exact
RAMP = np.broadcast_to(np.arange(48, dtype=np.int16)[None, :, None] * 10, (12, 48, 40))


def place_of(ds: Dataset, row: int, column: int) -> np.ndarray:
    """LPS mm, by the headers alone (PS3.3 C.7.6.2.1.1)."""
    right, down = np.reshape(np.array(ds.ImageOrientationPatient, float), (2, 3))
    rows, columns = ds.PixelSpacing
    return np.array(ds.ImagePositionPatient, float) + right * columns * column + down * rows * row


def check_places(folder: Path, instances: list[Dataset]) -> None:
    """Each voxel of some is where its header says, whatever the index it got."""
    by_number = {int(ds.InstanceNumber): ds for ds in instances}
    volume = loaded(folder, instances).volume
    pixels = asymmetric((12, 48, 40))
    for k, row, column in [(0, 0, 0), (2, 8, 7), (5, 23, 19), (11, 47, 39)]:
        place = place_of(by_number[k + 1], row, column)
        index = np.rint(volume.map_reference_to_indices(place[None])[0]).astype(int)
        assert volume.array[tuple(index)] == pixels[k, row, column]


@pytest.mark.parametrize("orientation", [FEET_FIRST, PRONE, FLIPPED])
def test_other_positions_of_the_patient_are_only_other_directions(
    tmp_path: Path, orientation: Sequence[float]
) -> None:
    check_places(tmp_path, series(orientation=orientation))


def test_slices_numbered_against_the_normal_are_only_another_order(tmp_path: Path) -> None:
    instances = series()
    for ds, other in zip(instances, series()[::-1], strict=True):
        ds.ImagePositionPatient = other.ImagePositionPatient
    check_places(tmp_path, instances)


@fault("D21")
@pytest.mark.parametrize("numbers", ["all 1", "reversed", "gaps"])
def test_the_order_is_that_of_the_geometry(
    tmp_path: Path, dice: random.Random, numbers: str
) -> None:
    plain = loaded(tmp_path / "plain", series()).volume
    instances = series()
    for k, ds in enumerate(instances):
        ds.pop("InstanceNumber")
        ds.InstanceNumber = {"all 1": 1, "reversed": 12 - k, "gaps": 1 + 7 * k * k}[numbers]
    dice.shuffle(instances)
    found = loaded(tmp_path / "numbered", instances).volume
    assert found.geometry_equal(plain)
    assert np.array_equal(found.array, plain.array)


@fault("D13")
@pytest.mark.parametrize("tilt_deg", [17.0, -22.5])
def test_a_tilted_gantry_is_straightened_and_every_value_stays_in_its_place(
    tmp_path: Path, tilt_deg: float
) -> None:
    instances = series(tilt_deg=tilt_deg, pixels=RAMP)
    volume = loaded(tmp_path, instances).volume
    axes = volume.affine[:3, :3] / volume.spacing
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    assert volume.spacing[0] == pytest.approx(5.0, abs=1e-4)
    for k, row in [(0, 3), (5, 20), (11, 40)]:
        index = volume.map_reference_to_indices(place_of(instances[k], row, 9)[None])[0]
        low = int(np.floor(index[1]))
        part = index[1] - low
        slice_, column = (int(v) for v in np.rint(index[[0, 2]]))
        here = volume.array[slice_, low, column] * (1 - part)
        here += volume.array[slice_, low + 1, column] * part
        assert here == pytest.approx(row * 10, abs=0.1)


@fault("D13")
def test_beyond_a_tilted_slice_is_the_lowest_value(tmp_path: Path) -> None:
    volume = loaded(tmp_path, series(tilt_deg=20)).volume
    assert volume.shape[1] == 48 + np.ceil(11 * 5 * np.tan(np.radians(20)) / 1.5)
    assert volume.array.min() == -900
    assert np.isfinite(volume.array).all()


@fault("D13")
def test_slices_beside_every_straight_line_are_refused(tmp_path: Path) -> None:
    instances = series()
    for k, ds in enumerate(instances):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x + (k % 2), y, z]
    assert refusal(tmp_path, instances).startswith("The slices do not lie one behind the other")


@fault("D13")
def test_a_tilt_that_would_need_too_much_memory_is_refused(tmp_path: Path) -> None:
    """The grid that holds a sheared stack grows with the shear."""
    instances = series(shape=(600, 8, 8), spacing=(300.0, 0.01, 0.01), tilt_deg=1)
    put_everywhere("ImageOrientationPatient", list(AXIAL))(instances)
    for k, ds in enumerate(instances):
        ds.ImagePositionPatient = [k * 20.0, k * 20.0, k * 100.0]
    assert refusal(tmp_path, instances) == "The series is larger than the limit of 2 GiB of voxels."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            put("ImageOrientationPatient", [1, 0, 0, 0, 1.1, 0]),
            "ImageOrientationPatient is wrong in an image of the series",
            marks=fault("D14"),
        ),
        pytest.param(
            put_everywhere("ImageOrientationPatient", [1, 0, 0, 0.1, 0.995, 0]),
            "ImageOrientationPatient is wrong in an image of the series",
            marks=fault("D14"),
        ),
        pytest.param(
            put_everywhere("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
            "ImageOrientationPatient is wrong in an image of the series",
            marks=fault("D14"),
        ),
        pytest.param(
            put_everywhere("PixelSpacing", [-1.5, 2]),
            "PixelSpacing is not above 0",
            marks=fault("D15"),
        ),
        pytest.param(
            put_everywhere("PixelSpacing", [0, 2]),
            "PixelSpacing is not above 0",
            marks=fault("D15"),
        ),
        *(
            pytest.param(
                put_bytes("PixelSpacing", value),
                "PixelSpacing is missing or not a number",
                marks=fault("D15"),
            )
            for value in (b"NaN\\2.0 ", b"1e400\\2 ", b"-inf\\2", b"1_5\\2 ", b"\\2")
        ),
        pytest.param(
            put_bytes("ImagePositionPatient", b"nan\\0\\5 "),
            "ImagePositionPatient is missing or not a number",
            marks=fault("D16"),
        ),
        pytest.param(
            put_bytes("ImagePositionPatient", b"1,5\\0,5\\5,0 "),
            "ImagePositionPatient is missing or not a number",
            marks=fault("D16"),
        ),
        pytest.param(
            put_everywhere("Rows", 0), "Rows is 0 in an image of the series.", marks=fault("D20")
        ),
        pytest.param(
            put_everywhere("Columns", 0),
            "Columns is 0 in an image of the series.",
            marks=fault("D20"),
        ),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(
    tmp_path: Path, change: Callable[[list[Dataset]], object], sentence: str
) -> None:
    instances = series()
    change(instances)
    assert refusal(tmp_path, instances).startswith(sentence)


@fault("D20")
def test_more_slices_than_the_limit_are_not_even_read(tmp_path: Path) -> None:
    (one,) = series(shape=(1, 2, 2))
    assert refusal(tmp_path, [one] * 5001) == "The series has 5001 images; the limit is 5000."


@fault("D20")
def test_one_slice_is_no_volume_and_is_an_image(tmp_path: Path) -> None:
    only = series(shape=(1, 8, 8))
    assert refusal(tmp_path / "volume", only).startswith("The series has one slice")
    (image,) = loaded(tmp_path / "image", only, kind="images").images
    assert image.array.shape == (8, 8)
    assert image.pixel_spacing == (1.5, 2.0)
