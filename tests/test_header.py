"""Headers of stored files, in every transfer syntax, whatever stands in them."""

from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_ai_node.folder import series_of
from dicom_ai_node.header import data_of, read_header, values_of
from tests.dicom_factory import series, write
from tests.receive.scu import encoded, part10, slices

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def stored(folder: Path, ds: Dataset, syntax: UID = ExplicitVRLittleEndian) -> Path:
    ds.file_meta.TransferSyntaxUID = syntax
    uid = ds.SOPInstanceUID
    return part10(folder / "a.dcm", encoded(ds), sop_instance_uid=uid, syntax=syntax)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_only_what_is_asked_is_read(tmp_path: Path, syntax: UID) -> None:
    (ds,) = slices()
    header = read_header(stored(tmp_path, ds, syntax), ["Modality", "Rows", "EchoTime"])
    assert (header.Modality, header.Rows) == ("CT", 4)
    assert "PatientName" not in header
    assert "PixelData" not in header
    assert header.file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_the_data_set_begins_after_the_meta_group(tmp_path: Path, syntax: UID) -> None:
    (ds,) = slices()
    path = stored(tmp_path, ds, syntax)
    assert data_of(path.read_bytes()) == encoded(ds)


def test_no_more_than_the_head_of_a_deflated_file_is_inflated(tmp_path: Path) -> None:
    (ds,) = slices()
    ds.PixelData = bytes(64 << 20)
    path = stored(tmp_path, ds, DeflatedExplicitVRLittleEndian)
    assert read_header(path, ["Modality"]).Modality == "CT"


@pytest.mark.parametrize(
    ("vr", "keyword", "raw", "values"),
    [
        ("CS", "ImageType", b"ORIGINAL\\PRIMARY ", ("ORIGINAL", "PRIMARY")),
        ("DS", "KVP", b"120 ", (120.0,)),
        ("DS", "KVP", b"0 ", (0.0,)),
        ("DS", "KVP", b"high", ("high",)),
        ("IS", "InstanceNumber", b"7 ", (7,)),
        ("IS", "InstanceNumber", b"7.5 ", (7.5,)),
        ("US", "Rows", b"\4\0", (4,)),
        ("LO", "SeriesDescription", b"", ()),
        ("LO", "SeriesDescription", b"\xe4\xf6", ("äö",)),
        ("CS", "ImageType", b"\\PRIMARY", ("PRIMARY",)),
    ],
)
def test_values_are_plain(
    tmp_path: Path, vr: str, keyword: str, raw: bytes, values: tuple[object, ...]
) -> None:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None
    data = tag.to_bytes(4, "big")[1::-1] + tag.to_bytes(4, "big")[:1:-1]
    data += vr.encode() + len(raw).to_bytes(2, "little") + raw
    charset = b"\x08\0\x05\0CS\x0a\0ISO_IR 100"
    path = part10(tmp_path / "a", (charset + data), sop_instance_uid="1.2.3")
    found = values_of(read_header(path, [keyword, "SpecificCharacterSet"]), keyword)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_an_absent_attribute_has_no_values(tmp_path: Path) -> None:
    assert values_of(Dataset(), "Modality") == ()


def test_series_in_a_folder_are_found_among_other_files(tmp_path: Path) -> None:
    write(series(name="one", shape=(3, 4, 4)), tmp_path / "b")
    write(series(name="two", shape=(2, 4, 4)), tmp_path / "a")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty").write_bytes(b"")
    found = series_of(tmp_path)
    assert sorted(len(each.instances) for each in found) == [2, 3]
    assert [each.series_instance_uid for each in found] == sorted(
        each.series_instance_uid for each in found
    )
    assert {each.modality for each in found} == {"CT"}


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_series_of_every_syntax_are_found(tmp_path: Path, syntax: UID) -> None:
    (ds,) = slices()
    stored(tmp_path, ds, syntax)
    (found,) = series_of(tmp_path)
    assert found.instances[0].transfer_syntax_uid == syntax
