"""Files are believed once their checksums are compared, whatever else is wrong with them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from dicom_ai_node.errors import InputError
from dicom_ai_node.loading.load import load
from dicom_ai_node.loading.unread import Damaged
from tests.dicom_factory import series, write
from tests.loading.loaded import loaded, put_everywhere
from tests.made import stored

Change = Callable[[bytearray], object]


def in_the_header(content: bytearray) -> None:
    at = content.rindex(b"ORIGINAL")
    content[at] ^= 32


def in_the_position(content: bytearray) -> None:
    """So that the geometry is refused as well."""
    at = content.index(b"\x20\x00\x32\x00DS")
    content[at + 8] = ord("9")


def in_the_pixels(content: bytearray) -> None:
    content[-500] ^= 1


def behind_the_pixels(content: bytearray) -> None:
    content[-1] ^= 1


def shorter(content: bytearray) -> None:
    del content[-100:]


def longer(content: bytearray) -> None:
    content += b"\0\0"


def in_a_tag(content: bytearray) -> None:
    """So that the header cannot be read either."""
    at = content.index(b"\x28\x00\x10\x00US")
    content[at + 4 : at + 8] = b"SQ\xff\xff"


@pytest.mark.fault("D12")
@pytest.mark.parametrize("kind", ["volume", "images"])
@pytest.mark.parametrize(
    "change",
    [
        in_the_header,
        in_the_position,
        in_the_pixels,
        behind_the_pixels,
        shorter,
        longer,
        in_a_tag,
    ],
)
@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian],
    ids=lambda syntax: syntax.name,
)
@pytest.mark.filterwarnings("ignore")  # pydicom's, of what the damage makes of the header
def test_a_damaged_file_is_told_as_damaged(
    tmp_path: Path, syntax: str, change: Change, kind: str
) -> None:
    instances = series()
    for ds in instances:
        ds.add_new(0xFFFCFFFC, "OB", bytes(20))  # DataSetTrailingPadding
        if syntax == RLELossless:
            ds.compress(RLELossless)
        ds.file_meta.TransferSyntaxUID = syntax
    paths = write(instances, tmp_path)
    acknowledged = stored(paths)
    assert load(acknowledged, kind=kind)
    content = bytearray(paths[3].read_bytes())
    if syntax == DeflatedExplicitVRLittleEndian:
        change = in_the_pixels
    change(content)
    paths[3].write_bytes(content)
    with pytest.raises(Damaged, match="its checksum differs"):
        load(acknowledged, kind=kind)


def test_a_refused_study_is_not_called_damaged(tmp_path: Path) -> None:
    instances = series()
    del instances[5]
    with pytest.raises(InputError, match="missing in the middle") as caught:
        loaded(tmp_path, instances)
    assert not isinstance(caught.value, Damaged)


def long_header(instances: list[Dataset]) -> None:
    for ds in instances:
        ds.add_new(0x00291001, "OB", bytes(100_000))


def sequences_without_length(instances: list[Dataset]) -> None:
    for ds in instances:
        item = Dataset()
        item.CodeValue = "1"
        ds.ProcedureCodeSequence = [item]
        ds["ProcedureCodeSequence"].is_undefined_length = True
        item.is_undefined_length_sequence_item = True


def implicit(instances: list[Dataset]) -> None:
    for ds in instances:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def padded(instances: list[Dataset]) -> None:
    for ds in instances:
        ds.PixelData += b"\0\0"


@pytest.mark.parametrize(
    "change",
    [
        long_header,
        sequences_without_length,
        implicit,
        padded,
        put_everywhere("NumberOfFrames", "1"),
        put_everywhere("NumberOfFrames", None),
    ],
)
def test_headers_of_all_kinds_come_with_the_same_values(
    tmp_path: Path, change: Callable[[list[Dataset]], None]
) -> None:
    plain = loaded(tmp_path / "plain", series())
    instances = series()
    change(instances)
    found = loaded(tmp_path / "changed", instances)
    assert np.array_equal(found.volume.array, plain.volume.array)
    syntax = instances[0].file_meta.TransferSyntaxUID
    assert {ds.file_meta.TransferSyntaxUID for ds in found.headers} == {syntax}
    found.volume.array[0] = 0  # a model may write into what it was given


def test_a_file_meta_group_without_its_length_is_pydicoms_to_read(tmp_path: Path) -> None:
    """`predict` takes files from anywhere; reception writes its own."""
    paths = write(series(), tmp_path)
    plain = load(stored(paths)).volume
    for path in paths:
        content = path.read_bytes()
        assert content[132:140] == b"\x02\0\0\0UL\x04\0"
        path.write_bytes(content[:132] + content[144:])
    assert np.array_equal(load(stored(paths)).volume.array, plain.array)
