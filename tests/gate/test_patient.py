"""Patient and study are compared as they are meant, however the source was written."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.gate.object_file import read_object
from dicom_ai_node.gate.patient import differing
from dicom_ai_node.writing import write
from tests.dicom_factory import series
from tests.encoders import made


def a_source() -> Dataset:
    (ds,) = series(name="source", shape=(1, 8, 8), patient_name="Müller^Jürgen")
    other, code, study = Dataset(), Dataset(), Dataset()
    other.PatientID, other.IssuerOfPatientID = "OLD-1", "Klinik Köln"
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "Größe"
    code.private_block(0x11, "X", create=True).add_new(1, "LO", "x")
    study.ReferencedSOPClassUID = study.ReferencedSOPInstanceUID = "2.25.1"
    ds.OtherPatientIDsSequence, ds.ProcedureCodeSequence = [other], [code]
    ds.ReferencedStudySequence, ds.AdmittingDiagnosesCodeSequence = [study], []
    ds.OtherPatientNames = ["Müller^J", "Möller^J"]
    ds.PatientWeight, ds.PregnancyStatus, ds.PatientComments = "71.5", 4, ""
    return ds


def as_undefined_lengths(ds: Dataset) -> Dataset:
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
    return ds


def as_latin(ds: Dataset) -> Dataset:
    ds.SpecificCharacterSet = "ISO_IR 100"
    return ds


def in_syntax(uid: str, *, little: bool, implicit: bool) -> Callable[[Dataset], Dataset]:
    def change(ds: Dataset) -> Dataset:
        del ds.PixelData
        ds.file_meta.TransferSyntaxUID = uid
        with BytesIO() as file:
            pydicom.dcmwrite(file, ds, implicit_vr=implicit, little_endian=little)
            return pydicom.dcmread(BytesIO(file.getvalue()), force=True)

    return change


WRITTEN: dict[str, Callable[[Dataset], Dataset]] = {
    "explicit": lambda ds: ds,
    "undefined lengths": as_undefined_lengths,
    "latin": as_latin,
    "implicit": in_syntax(ImplicitVRLittleEndian, little=True, implicit=True),
    "big endian": in_syntax(ExplicitVRBigEndian, little=False, implicit=False),
}


@pytest.fixture(params=WRITTEN)
def source(request: pytest.FixtureRequest) -> Callable[[], Dataset]:
    """Read anew by each that looks at it."""
    with BytesIO() as file:
        ds = WRITTEN[request.param](a_source())
        ds.save_as(file, enforce_file_format=True)
        content = file.getvalue()
    return lambda: pydicom.dcmread(BytesIO(content), stop_before_pixels=True)


@pytest.mark.result_rule(1)
@pytest.mark.parametrize("label", ["Lung", "Łódź 王"])
def test_what_an_object_has_from_its_source_is_the_same(
    tmp_path: Path, source: Callable[[], Dataset], label: str
) -> None:
    """Also where our own letters want another character set."""
    result = made.Result.failed(label)
    encoded = encode(result, [source()], made.run(), ("sr",))
    (path,) = write(tmp_path / "out", encoded)
    assert differing(read_object(path).header, source()) == []


CHANGES: dict[str, Callable[[Dataset], object]] = {
    "OtherPatientNames": lambda ds: setattr(ds, "OtherPatientNames", ["Müller^J", "Möller^K"]),
    "OtherPatientIDsSequence": lambda ds: setattr(
        ds.OtherPatientIDsSequence[0], "IssuerOfPatientID", "Klinik Bonn"
    ),
    "ReferencedStudySequence": lambda ds: ds.ReferencedStudySequence.clear(),
    "ProcedureCodeSequence": lambda ds: ds.ProcedureCodeSequence.append(Dataset()),
    "PregnancyStatus": lambda ds: setattr(ds, "PregnancyStatus", 1),
    "PatientComments": lambda ds: setattr(ds, "PatientComments", "x"),
    "PatientWeight": lambda ds: setattr(ds, "PatientWeight", "71"),
}


@pytest.mark.parametrize("keyword", CHANGES)
def test_every_difference_is_named(source: Callable[[], Dataset], keyword: str) -> None:
    changed = source()
    CHANGES[keyword](changed)
    assert differing(changed, source()) == [keyword]
