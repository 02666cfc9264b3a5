"""Stored pixels as values: rescaled slice by slice, padding taken out, contradictions refused."""

from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from tests.dicom_factory import asymmetric, series
from tests.loading.loaded import everywhere_without, loaded, put, put_bytes, put_everywhere, refusal

fault = pytest.mark.fault

PIXELS = asymmetric((12, 48, 40)) + np.random.default_rng(3).integers(0, 40, (12, 48, 40), np.int16)


@fault("D18")
def test_each_slice_has_a_rescale_of_its_own(tmp_path: Path) -> None:
    """As PET series have them, and some CT."""
    instances = series(pixels=PIXELS)
    for k, ds in enumerate(instances):
        ds.pop("RescaleSlope")
        ds.RescaleSlope = 1 + k / 4
    array = loaded(tmp_path, instances).volume.array[::-1]
    expected = PIXELS.astype(np.float32) * (1 + np.arange(12, dtype=np.float32) / 4)[:, None, None]
    assert np.array_equal(array, expected)


@fault("D18")
def test_a_modality_table_is_applied(tmp_path: Path) -> None:
    """PS3.3 C.11.1: a table in the place of slope and intercept."""
    pixels = np.clip(PIXELS, 0, 255)
    instances = series(pixels=pixels)
    table = hd.ModalityLUT(
        lut_type="US",
        first_mapped_value=0,
        lut_data=np.arange(256, dtype=np.uint16) * 3 + 5,
    )
    for ds in instances:
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            del ds[keyword]
        ds.ModalityLUTSequence = [table]
    array = loaded(tmp_path, instances).volume.array[::-1]
    assert np.array_equal(array, pixels * 3 + 5)


@fault("D18")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("RescaleSlope", 0), "RescaleSlope is 0 in an image of the series"),
        (put_bytes("RescaleSlope", b"NaN "), "Pixel values are not finite after rescaling."),
        (put_bytes("RescaleIntercept", b"-inf"), "Pixel values are not finite after rescaling."),
        (put_bytes("RescaleSlope", b"1,5 "), "RescaleSlope is missing or not a number"),
        (everywhere_without("RescaleIntercept"), "RescaleIntercept is missing or not a number"),
        (everywhere_without("RescaleSlope"), "RescaleSlope is missing or not a number"),
    ],
)
def test_a_rescale_that_leaves_values_open_is_refused(
    tmp_path: Path, change: Callable[[list[Dataset]], object], sentence: str
) -> None:
    instances = series()
    change(instances)
    assert refusal(tmp_path, instances).startswith(sentence)


@fault("D18")
def test_a_ct_without_any_rescale_is_refused_and_an_mr_needs_none(tmp_path: Path) -> None:
    instances = series()
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        everywhere_without(keyword)(instances)
    assert refusal(tmp_path / "ct", instances).startswith("RescaleIntercept is missing in a CT")
    array = loaded(tmp_path / "mr", series(modality="MR", pixels=PIXELS)).volume.array
    assert np.array_equal(array[::-1], PIXELS)


@fault("D19")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("BitsStored", 40), "BitsAllocated 16, BitsStored 40 and HighBit 15 do not go"),
        (put("HighBit", 3), "BitsAllocated 16, BitsStored 16 and HighBit 3 do not go"),
        (put("BitsStored", 0), "BitsAllocated 16, BitsStored 0 and HighBit 15 do not go"),
        (put("BitsAllocated", 1), "BitsAllocated 1, BitsStored 16 and HighBit 15 do not go"),
        (put("PixelRepresentation", 2), "PixelRepresentation is neither 0 nor 1"),
        (put("PixelRepresentation", 0), "The series mixes images of signed and of unsigned"),
    ],
)
def test_bits_that_contradict_each_other_are_refused(
    tmp_path: Path, change: Callable[[list[Dataset]], object], sentence: str
) -> None:
    instances = series()
    change(instances)
    assert refusal(tmp_path, instances).startswith(sentence)


@fault("D19")
@pytest.mark.parametrize("written", [-2000, 63536], ids=["signed", "as the other sign"])
def test_padding_becomes_the_lowest_value_that_is_none(tmp_path: Path, written: int) -> None:
    """So a field of view's corners are air, and not twice as empty."""
    pixels = PIXELS.copy()
    pixels[:, :5, :5] = -2000
    instances = series(pixels=pixels)
    for ds in instances:
        ds.add_new("PixelPaddingValue", "SS" if written < 0 else "US", written)
    array = loaded(tmp_path, instances).volume.array[::-1]
    lowest = np.delete(PIXELS, np.s_[:5], axis=1).min()
    assert (array[:, :5, :5] == min(lowest, PIXELS[:, :5, 5:].min())).all()
    assert np.array_equal(array[:, 5:], PIXELS[:, 5:])


@fault("D19")
def test_padding_may_be_a_range(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:, 0], pixels[:, 1] = -3000, -2500
    instances = series(pixels=pixels)
    for ds in instances:
        ds.add_new("PixelPaddingValue", "SS", -3024)
        ds.add_new("PixelPaddingRangeLimit", "SS", -2000)
    assert loaded(tmp_path, instances).volume.array.min() == PIXELS[:, 2:].min()


@fault("D19")
def test_images_of_nothing_but_padding_are_refused(tmp_path: Path) -> None:
    instances = series(pixels=np.full((12, 48, 40), -2000, np.int16))
    for ds in instances:
        ds.add_new("PixelPaddingValue", "SS", -2000)
    assert refusal(tmp_path, instances) == "The images hold padding, and no pixel of an image."


@fault("D19")
def test_bits_above_those_stored_are_not_read(tmp_path: Path) -> None:
    """Old overlays lie there, and signs that nobody extended."""
    instances = series(pixels=PIXELS)
    for ds in instances:
        ds.BitsStored, ds.HighBit = 12, 11
        stored = np.frombuffer(ds.PixelData, "<u2") & 0x0FFF | 0x7000
        ds.PixelData = stored.astype("<u2").tobytes()
    assert np.array_equal(loaded(tmp_path, instances).volume.array[::-1], PIXELS)


@fault("D23")
@pytest.mark.parametrize(
    "shown", ["RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420"]
)
def test_colours_are_refused(tmp_path: Path, shown: str) -> None:
    instances = series()
    put_everywhere("PhotometricInterpretation", shown)(instances)
    assert refusal(tmp_path / "one", instances).startswith("The images are not grey values")
    put_everywhere("SamplesPerPixel", 3)(instances)
    assert refusal(tmp_path / "three", instances).startswith("The images are not grey values")


@fault("D24")
def test_a_mosaic_is_refused(tmp_path: Path) -> None:
    instances = series(modality="MR")
    put_everywhere("ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"])(instances)
    assert refusal(tmp_path, instances).startswith("The images are mosaics")
