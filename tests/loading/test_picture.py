"""One frame as a viewer shows it: windowed, the right way round, and nothing else decoded."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.pixels import compress
from pydicom.uid import JPEG2000Lossless, RLELossless

from dicom_ai_node.errors import InputError
from dicom_ai_node.loading.picture import picture, pictures
from dicom_ai_node.loading.unread import Damaged
from tests.dicom_factory import enhanced, radiograph, series, write
from tests.made import stored

RAMP = np.tile(np.arange(64, dtype=np.int16) * 16, (48, 1))  # 0 to 1008


def shown(folder: Path, ds: Dataset, frame_number: int | None = None) -> np.ndarray:
    (instance,) = stored(write([ds], folder))
    return picture(instance, frame_number)


def ramp(**changes: object) -> Dataset:
    ds = radiograph(RAMP)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def test_the_first_window_of_the_header_decides(tmp_path: Path) -> None:
    found = shown(tmp_path, ramp(WindowCenter=[400, 40], WindowWidth=[200, 10]))
    assert (found.dtype, found.shape) == (np.uint8, RAMP.shape)
    assert set(found[RAMP < 300]) == {0}
    assert set(found[RAMP > 500]) == {255}
    assert abs(int(found[0, 25]) - 128) <= 1  # 400, in the middle


def test_the_window_is_of_hounsfield_units(tmp_path: Path) -> None:
    (ds,) = series(shape=(1, 48, 64), pixels=RAMP[None])
    ds.RescaleIntercept, ds.WindowCenter, ds.WindowWidth = "-1000", "-600", "200"
    found = shown(tmp_path, ds)
    assert set(found[RAMP < 300]) == {0}
    assert set(found[RAMP > 500]) == {255}


def test_without_a_window_most_values_are_told_apart(tmp_path: Path) -> None:
    spoilt = RAMP.copy()
    spoilt[0, 0] = 4000  # one hot pixel must not darken the rest
    found = shown(tmp_path, radiograph(spoilt))
    assert found[:, -1].min() >= 250
    assert int(found[5, 32]) == pytest.approx(128, abs=6)


def test_what_is_stored_inverted_is_turned_round_after_its_window(tmp_path: Path) -> None:
    window = {"WindowCenter": 400, "WindowWidth": 200}
    plain = shown(tmp_path / "2", ramp(**window))
    inverted = shown(tmp_path / "1", ramp(**window, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(inverted, 255 - plain)


def test_a_table_in_the_place_of_a_window(tmp_path: Path) -> None:
    """A VOI LUT that makes black white."""
    item = Dataset()
    item.LUTDescriptor = [1024, 0, 10]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = (1023 - np.arange(1024)).astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    found = shown(tmp_path, ramp(VOILUTSequence=[item]))
    assert np.array_equal(found, np.rint((1023 - RAMP) / 1023 * 255))


def test_padding_is_black_even_where_black_is_stored_as_white(tmp_path: Path) -> None:
    padded = RAMP + 1
    padded[:10] = 0
    ds = radiograph(padded, photometric="MONOCHROME1")
    ds.PixelPaddingValue = 0
    found = shown(tmp_path, ds)
    assert not found[:10].any()
    assert found[20, 0] == 255


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_frame_of_a_compressed_multi_frame_object(tmp_path: Path, syntax: str) -> None:
    (whole,) = enhanced(series(shape=(5, 32, 40)))
    (packed,) = enhanced(series(shape=(5, 32, 40)))
    compress(packed, syntax, generate_instance_uid=False)
    for number in (1, 2, 5):
        expected = shown(tmp_path / f"plain {number}", whole, number)
        assert np.array_equal(shown(tmp_path / f"packed {number}", packed, number), expected)


def test_the_window_of_a_frame_is_among_its_groups(tmp_path: Path) -> None:
    (ds,) = enhanced(series(shape=(2, 48, 64), pixels=np.stack([RAMP, RAMP])))
    for groups, center in zip(ds.PerFrameFunctionalGroupsSequence, (200, 800), strict=True):
        item = Dataset()
        item.WindowCenter, item.WindowWidth = center, 100
        groups.FrameVOILUTSequence = [item]
    first, second = (shown(tmp_path / str(number), ds, number) for number in (1, 2))
    assert (first[0, 30], second[0, 30]) == (255, 0)


def test_a_colour_image_stays_in_colour(tmp_path: Path) -> None:
    ds = radiograph(RAMP)
    colours = np.zeros((48, 64, 3), np.uint8)
    colours[:, :32] = (200, 10, 30)
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = colours.tobytes()
    assert np.array_equal(shown(tmp_path, ds), colours)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """Of a series with a damaged file the other images are shown; the damaged one is refused."""
    instances = stored(write(series(shape=(3, 16, 16)), tmp_path))
    content = bytearray(instances[1].path.read_bytes())
    content[-1] ^= 0xFF
    instances[1].path.write_bytes(content)
    find = pictures(instances)
    assert find(instances[0].sop_instance_uid, None).shape == (16, 16)
    with pytest.raises(Damaged):
        find(instances[1].sop_instance_uid, None)
    with pytest.raises(InputError, match="not among those"):
        find("1.2.3", None)


def test_pixels_that_are_not_there_are_an_input_error(tmp_path: Path) -> None:
    ds = ramp()
    ds.PixelData = ds.PixelData[:100]
    with pytest.raises(InputError, match="does not have the length"):
        shown(tmp_path, ds)
    (ds,) = enhanced(series(shape=(2, 16, 16)))
    with pytest.raises(InputError, match="does not have the frame"):
        shown(tmp_path / "frame", ds, 3)
