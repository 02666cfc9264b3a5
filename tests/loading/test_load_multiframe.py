"""Enhanced objects give the volume of the single-frame series that they were made of."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_fragments
from pydicom.uid import ImplicitVRLittleEndian, LegacyConvertedEnhancedMRImageStorage, RLELossless

from tests.dicom_factory import asymmetric, enhanced, series
from tests.loading.loaded import loaded, put_everywhere, refusal

fault = pytest.mark.fault

PIXELS = asymmetric((12, 48, 40)) + np.random.default_rng(3).integers(0, 40, (12, 48, 40), np.int16)


def same_volume(folder: Path, made: list[Dataset], instances: list[Dataset]) -> None:
    plain = loaded(folder / "plain", instances).volume
    found = loaded(folder / "enhanced", made)
    assert found.volume.geometry_equal(plain)
    assert np.array_equal(found.volume.array, plain.array)
    assert found.volume.frame_of_reference_uid == plain.frame_of_reference_uid
    assert not any("PixelData" in header for header in found.headers)


@fault("D22")
@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("parts", [1, 3])
def test_an_enhanced_object_and_a_concatenation_are_read(
    tmp_path: Path, modality: str, parts: int, dice: random.Random
) -> None:
    instances = series(modality=modality, pixels=PIXELS)
    if modality == "CT":
        for k, ds in enumerate(instances):
            ds.pop("RescaleIntercept")
            ds.RescaleIntercept = -k
    shuffled = [*instances]
    dice.shuffle(shuffled)
    same_volume(tmp_path, enhanced(shuffled, parts=parts), instances)


@fault("D22")
@pytest.mark.parametrize("syntax", [RLELossless, ImplicitVRLittleEndian], ids=lambda s: s.name)
def test_an_enhanced_object_may_be_compressed(tmp_path: Path, syntax: str) -> None:
    made = enhanced(series(pixels=PIXELS))
    for ds in made:
        if syntax == RLELossless:
            ds.compress(RLELossless)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
    same_volume(tmp_path, made, series(pixels=PIXELS))


def rle(pixels: np.ndarray = PIXELS) -> tuple[Dataset, list[bytes]]:
    (ds,) = enhanced(series(pixels=pixels))
    ds.compress(RLELossless)
    return ds, [*generate_fragments(ds.PixelData, endianness="<")][1:]


@pytest.mark.parametrize("table", ["basic", "extended", "none"])
def test_frames_are_found_by_either_table_or_by_none(tmp_path: Path, table: str) -> None:
    """PS3.5 A.4: without one, each fragment is a frame."""
    ds, streams = rle()
    if table == "extended":
        found = encapsulate_extended(streams)
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = found
    else:
        ds.PixelData = encapsulate(streams, has_bot=table == "basic")
    same_volume(tmp_path, [ds], series(pixels=PIXELS))


@fault("D12", "D22")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda streams: encapsulate(streams[:-1], has_bot=False),
            "The compressed multi-frame image has 11 fragments for 12 frames",
        ),
        (lambda streams: encapsulate(streams[:-1]), "The offset table of PixelData does not fit"),
        (
            lambda streams: encapsulate([*streams[:-1], streams[-1] + b"\0\1" * 9000]),
            "The compressed image cannot have the size",
        ),
        (
            lambda streams: b"\xfe\xff\x00\xe0" + (48).to_bytes(4, "little")
            + np.arange(12, dtype="<u4").tobytes() + encapsulate(streams, has_bot=False)[8:],
            "The offset table of PixelData does not fit the frames of a multi-frame image.",
        ),
    ],
)  # fmt: skip
def test_fragments_that_are_not_the_frames_are_refused(
    tmp_path: Path, change: Callable[[list[bytes]], bytes], sentence: str
) -> None:
    ds, streams = rle()
    ds.PixelData = change(streams)
    assert refusal(tmp_path, [ds]).startswith(sentence)


@fault("D22")
def test_a_legacy_converted_object_is_read(tmp_path: Path) -> None:
    (made,) = enhanced(series(modality="MR"))
    made.SOPClassUID = LegacyConvertedEnhancedMRImageStorage
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    same_volume(tmp_path, [made], series(modality="MR"))


def frames(made: list[Dataset]) -> list[Dataset]:
    return [*made[0].PerFrameFunctionalGroupsSequence]


def lose_a_group(made: list[Dataset]) -> None:
    made[0].PerFrameFunctionalGroupsSequence = frames(made)[:-1]


def lose_a_position(made: list[Dataset]) -> None:
    del frames(made)[4].PlanePositionSequence


def echo(made: list[Dataset]) -> None:
    for k, frame in enumerate(frames(made)):
        frame.MREchoSequence[0].EffectiveEchoTime = 10.0 if k % 2 else 80.0


def phase(made: list[Dataset]) -> None:
    for k, frame in enumerate(frames(made)):
        frame.FrameContentSequence[0].TemporalPositionIndex = 1 + k % 2
        place = frames(made)[k // 2].PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [*place]


def tilt_one(made: list[Dataset]) -> None:
    turned = Dataset()
    turned.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    frames(made)[4].PlaneOrientationSequence = [turned]


@fault("D22")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda made: made[0].__delitem__("PerFrameFunctionalGroupsSequence"),
            "This is a multi-frame object without the position of each frame",
        ),
        (lose_a_group, "This is a multi-frame object of 12 frames that describes 11 of them."),
        (lose_a_position, "ImagePositionPatient is missing or not a number in an image of a multi"),
        (
            lambda made: setattr(made[0], "NumberOfFrames", 0),
            "This is a multi-frame object whose number of frames makes no sense.",
        ),
        (tilt_one, "The series mixes images of several orientations."),
        (
            lambda made: setattr(made[0], "PixelData", made[0].PixelData[:-2]),
            "PixelData does not have the length that Rows, Columns and BitsAllocated say.",
        ),
        (lambda made: made.append(series(name="other")[0]), "The series mixes multi-frame objects"),
    ],
)
def test_a_multi_frame_object_that_does_not_say_all_is_refused(
    tmp_path: Path, change: Callable[[list[Dataset]], object], sentence: str
) -> None:
    made = enhanced(series(modality="MR"))
    change(made)
    assert refusal(tmp_path, made).startswith(sentence)


@fault("D22")
def test_a_concatenation_without_one_of_its_parts_is_refused(tmp_path: Path) -> None:
    made = enhanced(series(), parts=3)
    said = refusal(tmp_path, made[:2])
    assert said == "The series holds 2 of the 3 parts of a multi-frame concatenation."


@fault("D24")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (echo, "The series holds more than one image of the same place: 2 echo times."),
        (phase, "Two images lie at the same position in a multi-frame object: the series holds"),
    ],
)
def test_a_multi_frame_object_of_several_phases_is_refused(
    tmp_path: Path, change: Callable[[list[Dataset]], object], sentence: str
) -> None:
    made = enhanced(series(modality="MR"))
    change(made)
    assert refusal(tmp_path, made).startswith(sentence)


@fault("D24")
@pytest.mark.parametrize(
    ("keyword", "values", "named"),
    [
        ("EchoTime", (10, 80), "2 echo times"),
        ("TemporalPositionIdentifier", (1, 2), "2 temporal positions"),
        ("DiffusionBValue", (0, 1000), "2 b-values"),
        ("TriggerTime", (0, 400), "2 trigger times"),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]), "2 kinds of"),
    ],
)
def test_two_phases_in_one_series_are_named_and_never_interleaved(
    tmp_path: Path, keyword: str, values: tuple[object, object], named: str
) -> None:
    both = [series(name=name, modality="MR", study="one") for name in ("first", "second")]
    for instances, value in zip(both, values, strict=True):
        put_everywhere(keyword, value)(instances)
    said = refusal(tmp_path, [*both[0], *both[1]])
    assert named in said
    assert "more than one" in said


@fault("D24")
def test_two_echoes_between_each_other_are_refused(tmp_path: Path) -> None:
    """No position comes twice, and the stack is even: only the headers tell."""
    instances = series(modality="MR")
    for k, ds in enumerate(instances):
        ds.pop("EchoTime")
        ds.EchoTime = 10 if k % 2 else 80
    assert refusal(tmp_path, instances).startswith("The series holds more than one image of the")
