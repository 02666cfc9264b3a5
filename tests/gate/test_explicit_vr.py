"""Bytes are walked as pydicom reads them, whatever lengths a writer gives; damage is no loop."""

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.explicit_vr import elements, every, items
from tests.gate.test_patient import as_undefined_lengths


def nested(depth: int) -> Dataset:
    ds = Dataset()
    ds.PatientID, ds.PixelData = f"AT {depth}", b"\xfe\xff\x0d\xe0\0\0\0\0"  # like a delimiter
    ds["PixelData"].VR = "OB"
    if depth:
        ds.ReferencedImageSequence = [nested(depth - 1), Dataset(), nested(0)]
        ds.ReferencedStudySequence = []
    return ds


def undefined(ds: Dataset) -> Dataset:
    for element in as_undefined_lengths(ds):
        for item in element.value if element.VR == "SQ" else ():
            undefined(item)
    return ds


@pytest.fixture(params=["defined", "undefined", "mixed"])
def content(request: pytest.FixtureRequest) -> bytes:
    ds = nested(3)
    if request.param != "defined":
        (undefined if request.param == "undefined" else as_undefined_lengths)(ds)
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, ds)
    return file.getvalue()


def test_every_element_is_found_at_any_depth(content: bytes) -> None:
    found = [(tag, content[begin:end]) for tag, begin, end in every(content, 0, len(content))]
    wanted = list(nested(3).iterall())
    assert [tag for tag, _ in found] == [element.tag for element in wanted]
    ids = [value.decode().strip() for tag, value in found if tag == 0x00100020]
    assert ids == [element.value for element in wanted if element.keyword == "PatientID"]


def test_the_data_set_itself_has_its_own_elements_only(content: bytes) -> None:
    found = list(elements(content, 0, len(content)))
    assert [tag for tag, _, _ in found] == [element.tag for element in nested(3)]
    _, begin, end = found[0]
    assert found[0][0] == 0x00081110  # Referenced Study Sequence, which is empty
    assert list(items(content, begin, end)) == []
    _, begin, end = found[1]
    bounds = list(items(content, begin, end))
    assert [next(iter(elements(content, *each)), None) is None for each in bounds] == [
        False,
        True,
        False,
    ]


def test_what_is_cut_off_is_said_to_be(content: bytes) -> None:
    whole = list(every(content, 0, len(content)))
    for length in range(1, len(content)):
        try:
            found = list(every(content[:length], 0, length))
        except ResultMismatch:
            continue
        assert len(found) < len(whole)
