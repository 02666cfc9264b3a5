"""Headers read without pydicom's reader hold what pydicom's would hold, or are left to it."""

from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag

from dicom_ai_node.header import at_pixels_themselves
from dicom_ai_node.loading.flat_header import flat_header
from tests.dicom_factory import series


def header() -> Dataset:
    (ds,) = series(shape=(1, 8, 8))
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"
    ds.AccessionNumber = ""
    ds.ImageComments = None
    ds.add_new(0x00091001, "UN", b"\x01\x02")
    ds.add_new(0x00091002, "UT", "a" * 70000)
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "one"
    ds.ProcedureCodeSequence = [item]
    ds.ReferencedImageSequence = []
    ds.add_new(0x7FE00001, "OV", bytes(8))  # ExtendedOffsetTable stands before the pixels
    return ds


def encoded(ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    return buffer.getvalue()


def by_pydicom(content: bytes, at: int) -> tuple[Dataset, int]:
    file = BytesIO(content)
    file.seek(at)
    return read_dataset(file, False, True, stop_when=at_pixels_themselves), file.tell()


@pytest.mark.parametrize("at", [0, 150])
def test_every_element_is_as_pydicom_reads_it(at: int) -> None:
    content = bytes(at) + encoded(header())
    theirs, end = by_pydicom(content, at)
    found = flat_header(content, at)
    assert found is not None
    ours, our_end = found
    assert our_end == end
    assert dict(ours.items()) == dict(theirs.items())
    assert [element.VR for element in ours.values()] == [each.VR for each in theirs.values()]
    assert ours.original_encoding == theirs.original_encoding
    assert ours.original_character_set == theirs.original_character_set
    assert ours.PatientName == theirs.PatientName == header().PatientName
    assert ours == theirs


def test_without_a_character_set_it_is_the_standards() -> None:
    ds = header()
    del ds.SpecificCharacterSet, ds.PatientName
    content = encoded(ds)
    found = flat_header(content, 0)
    assert found is not None
    assert found[0].original_character_set == by_pydicom(content, 0)[0].original_character_set


def no_length(ds: Dataset) -> None:
    ds["ProcedureCodeSequence"].is_undefined_length = True


def no_pixels(ds: Dataset) -> None:
    del ds.PixelData


def beyond_the_pixels(ds: Dataset) -> None:
    del ds.PixelData
    ds.add_new(0xFFFCFFFC, "OB", bytes(20))


@pytest.mark.parametrize("change", [no_length, no_pixels, beyond_the_pixels])
def test_what_is_not_flat_is_left_to_pydicom(change: object) -> None:
    ds = header()
    change(ds)  # type: ignore[operator]
    assert flat_header(encoded(ds), 0) is None


def test_bytes_that_end_before_the_pixels_are_no_header() -> None:
    content = encoded(header())
    _, end = by_pydicom(content, 0)
    assert flat_header(content[: end + 12], 0) is not None
    for cut in (end + 11, end, end - 1, 70100, 300, 3, 0):
        assert flat_header(content[:cut], 0) is None


def test_a_vr_of_its_own_is_left_to_pydicom() -> None:
    content = encoded(header())
    place = content.index(BaseTag(0x00280010).to_bytes(4, "big")[1::-1] + b"\x10\x00US")
    assert flat_header(content[: place + 4] + b"Q?" + content[place + 6 :], 0) is None
