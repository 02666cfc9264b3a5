"""What is the same in every object: patient, study, letters, equipment, UIDs."""

from datetime import datetime, timedelta, timezone
from io import BytesIO

import pydicom
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.finish import encodable
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dcentvfy, dciodvfy, dsrdump, sr_validator

KINDS = ("seg", "sr")
NAMES = {
    "ISO_IR 100": "Müller^Jürgen",
    "ISO_IR 144": "Люкceм^Юрий",
    "ISO_IR 192": "Wałęsa^Łucja=王^小",
    "GB18030": "Wang^Xiao=王^小东",
    "GBK": "Wang^Xiao=王^小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "\\ISO 2022 IR 87\\ISO 2022 IR 159": "Yamada^Tarou=山田^丂太郎",
    "": "DOE^JOHN",
}


@pytest.fixture(scope="module")
def instances():
    instances = dicom_factory.series(name="finish phantom")
    for ds in instances:
        ds.PatientWeight, ds.PatientSize = "71.5", "1.80"
        ds.OtherPatientIDs = ["OLD-1", "OLD-2"]
        ds.DeviceSerialNumber, ds.StationName = "SCANNER-77", "CT-ROOM-1"
        ds.ManufacturerModelName, ds.InstitutionName = "Scanner", "Phantom Hospital"
        ds.SoftwareVersions = "syngo"
        block = ds.private_block(0x0011, "SCANNER PRIVATE", create=True)
        block.add_new(1, "LO", "leak")
    return instances


@pytest.fixture(scope="module")
def result(instances):
    return made.findings(instances)


@pytest.fixture(scope="module")
def objects(instances, result):
    return made.encoded(result, instances)


@pytest.mark.parametrize("kind", KINDS)
def test_patient_and_study_are_the_sources_to_the_byte(objects, instances, kind):
    (source, *_) = made.without_pixels(instances)
    for keyword in {*PATIENT, *STUDY}:
        theirs, ours = source.get_item(keyword), objects[kind].get_item(keyword)
        assert (ours is None) == (theirs is None), keyword
        if theirs is not None and theirs.is_raw:
            assert ours.value == theirs.value, keyword
    for keyword in ("IssuerOfPatientID", "PatientAge", "StudyDescription", "OtherPatientIDs"):
        assert keyword in objects[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_private_and_nothing_of_the_scanner(objects, kind):
    ds = objects[kind]
    private = []
    ds.walk(lambda _, element: private.append(element) if element.tag.is_private else None)
    assert not private
    text = str(ds)
    for leak in ("SCANNER-77", "CT-ROOM-1", "syngo", "Phantom Works", "leak"):
        assert leak not in text
    assert "InstitutionName" not in ds


@pytest.mark.parametrize("kind", KINDS)
def test_the_equipment_is_ours_and_names_the_model(objects, kind):
    ds = objects[kind]
    assert ds.Manufacturer == "dicom-ai-node"
    assert ds.DeviceSerialNumber == "0123456789abcdef"
    assert list(ds.SoftwareVersions) == ["dicom-ai-node 0.1.0", "phantom-box 1.2"]
    (equipment,) = ds.ContributingEquipmentSequence
    purpose = equipment.PurposeOfReferenceCodeSequence[0]
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning) == (
        "Newcode1",
        "99IHE",
        "Processing Algorithm",
    )
    assert equipment.ManufacturerModelName == "phantom-box"
    assert equipment.DeviceUID == made.run().device_uid
    assert equipment.DeviceUID != made.run(model_sha256="f" * 64).device_uid


@pytest.mark.parametrize("kind", KINDS)
def test_series_is_dated_numbered_and_marked_as_research(objects, kind):
    ds = objects[kind]
    assert ds.SeriesNumber == {"seg": 9001, "sr": 9002}[kind]
    assert (ds.SeriesDate, ds.SeriesTime) == (ds.ContentDate, ds.ContentTime)
    assert (ds.ContentDate, ds.ContentTime) == ("20260304", "050607")
    assert ds.TimezoneOffsetFromUTC == "+0000"
    assert "research use only" in ds.SeriesDescription


def test_times_are_in_the_zone_of_the_study(instances, result):
    moved = made.without_pixels(instances)
    for ds in moved:
        ds.TimezoneOffsetFromUTC = "+0530"
    ((_, seg, _),) = encode(result, moved, made.run(), ("seg",))
    assert (seg.TimezoneOffsetFromUTC, seg.ContentTime) == ("+0530", "103607")
    for ds in moved:
        ds.TimezoneOffsetFromUTC = "nonsense"
    zone = timezone(timedelta(hours=-3))
    here = made.run(finished_at=datetime(2026, 3, 4, 1, 0, 0, tzinfo=zone))
    ((_, seg, _),) = encode(result, moved, here, ("seg",))
    assert (seg.TimezoneOffsetFromUTC, seg.ContentTime) == ("-0300", "010000")


def test_the_body_part_belongs_to_the_seg_alone(objects):
    assert objects["seg"].BodyPartExamined == "CHEST"
    assert "BodyPartExamined" not in objects["sr"]
    assert "Laterality" not in objects["seg"]  # not of this IOD, says dciodvfy


def test_a_retry_makes_the_same_bytes_in_any_order_of_files(instances, result):
    headers = made.without_pixels(instances)
    first = encode(result, headers, made.run(), KINDS)
    second = encode(result, headers[::-1], made.run(), KINDS)
    assert [_bytes(a.dataset) for a in first] == [_bytes(b.dataset) for b in second]


def test_another_run_makes_other_objects_in_other_series(instances, result):
    again = made.run(ids=DerivedIds(job_key="a" * 64, run=2))
    one, two = made.encoded(result, instances), made.encoded(result, instances, again)
    uids = [
        ds[keyword].value
        for objects in (one, two)
        for ds in objects.values()
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID")
    ]
    assert len(set(uids)) == 8


@pytest.mark.parametrize("charset", NAMES)
def test_names_survive_in_every_character_set(charset):
    name = NAMES[charset]
    instances = dicom_factory.series(
        name="letters", shape=(2, 12, 12), patient_name=name, charset=charset.split("\\")
    )
    for ds in instances:
        ds.StudyDescription = name.partition("=")[2].replace("=", " ") or name
    encoded = made.encoded(made.findings(instances, numbers=(1,)), instances)
    for ds in encoded.values():
        assert str(ds.PatientName) == name
        assert ds.StudyDescription == instances[0].StudyDescription
        assert ds.get("SpecificCharacterSet") == instances[0].SpecificCharacterSet
    assert encoded["seg"].SegmentSequence[0].SegmentLabel == "Lung"


@pytest.mark.parametrize(
    ("charset", "raw"),
    [
        ("ISO_IR 192", "Müller^Jürgen".encode("latin-1")),
        ("ISO_IR 999", "Müller^Jürgen".encode("latin-1")),
        ("NOT A CHARACTER S", b"\xff\xfe^\x81"),
        ("ISO_IR 100", "山田^太郎".encode()),
        ("ISO 2022 IR 87", b"\x1b$B;3ED"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_wrong_character_set_neither_stops_nor_changes_a_byte(charset, raw):
    instances = dicom_factory.series(name="wrong", shape=(2, 12, 12), patient_name="X" * len(raw))
    headers = made.without_pixels(instances)
    for ds in headers:
        for keyword in ("PatientName", "StudyDescription"):
            item = ds.get_item(keyword)
            ds[keyword] = item._replace(value=raw + b" " * (len(raw) % 2))
        ds.SpecificCharacterSet = charset
    result = made.findings(instances, numbers=(1,))
    for _, ds, _ in encode(result, headers, made.run(), KINDS):
        back = pydicom.dcmread(BytesIO(_bytes(ds)))
        for keyword in ("PatientName", "StudyDescription"):
            assert back.get_item(keyword).value.rstrip(b" ") == raw
        assert back.SpecificCharacterSet == charset


def test_our_own_text_is_written_in_letters_that_the_set_has():
    assert encodable("Müller – 1,5 × 2 µm", ["latin-1"]) == "Müller - 1,5 x 2 um"
    assert encodable("Müller", ["latin-1"]) == "Müller"
    assert encodable("Łódź 王", ["ascii"]) == "?odz ?"
    assert encodable("山田", ["ascii", "iso2022_jp"]) == "山田"
    assert encodable("山田 é", ["ascii", "iso2022_jp"]) == "?? e"


REASON = "Zu große Schichten – über 5 mm. 厚すぎる."


@pytest.mark.validators
@pytest.mark.result_rule(23)
@pytest.mark.parametrize("charset", NAMES)
def test_our_own_letters_are_never_lost(charset, tmp_path):
    """Where the source's set lacks one, all of the object is in ISO_IR 192, the name with it."""
    name = NAMES[charset]
    instances = dicom_factory.series(
        name="own letters", shape=(2, 8, 8), patient_name=name, charset=charset.split("\\")
    )
    for ds in instances:
        request = pydicom.Dataset()
        request.RequestedProcedureDescription = name.partition("=")[2].replace("=", " ") or name
        ds.RequestAttributesSequence = [request]
    sr = made.encoded(Result.not_suitable(REASON), instances)["sr"]
    assert sr.SpecificCharacterSet in ("ISO_IR 192", "GB18030")
    assert made.named(sr, "121106")[0].TextValue == REASON
    assert [*map(ord, str(sr.PatientName))] == [*map(ord, name)]
    assert sr.PatientID == instances[0].PatientID
    said = sr.ReferencedRequestSequence[0].RequestedProcedureDescription
    assert said == instances[0].RequestAttributesSequence[0].RequestedProcedureDescription
    sr.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    assert dciodvfy(tmp_path / "sr.dcm") == []
    if sr.SpecificCharacterSet == "ISO_IR 192":  # the others dsrdump prints as they are
        assert "厚すぎる" in dsrdump(tmp_path / "sr.dcm")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bytes_that_are_not_of_their_set_stay_and_our_letters_are_reduced():
    instances = dicom_factory.series(name="wrong letters", shape=(2, 8, 8), patient_name="X" * 6)
    headers = made.without_pixels(instances)
    for ds in headers:
        ds["PatientName"] = ds.get_item("PatientName")._replace(value=b"M\xfcller")
        ds.SpecificCharacterSet = "ISO_IR 192"
    unsuitable = Result.not_suitable("Für ISO_IR 192 ist das kein Name.")
    ((_, sr, _),) = encode(unsuitable, headers, made.run(), ("sr",))
    back = pydicom.dcmread(BytesIO(_bytes(sr)))
    assert back.get_item("PatientName").value == b"M\xfcller"
    assert made.named(back, "121106")[0].TextValue == "Für ISO_IR 192 ist das kein Name."
    for ds in headers:
        del ds.SpecificCharacterSet
    ((_, sr, _),) = encode(unsuitable, headers, made.run(), ("sr",))
    back = pydicom.dcmread(BytesIO(_bytes(sr)))
    assert back.get_item("PatientName").value == b"M\xfcller"
    assert made.named(back, "121106")[0].TextValue == "Fur ISO_IR 192 ist das kein Name."


@pytest.mark.validators
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_independent_programs_find_no_error(modality, tmp_path):
    instances = dicom_factory.series(name=f"valid {modality}", modality=modality)
    encoded = encode(made.findings(instances), made.without_pixels(instances), made.run(), KINDS)
    paths = made.written(encoded, tmp_path)
    sources = dicom_factory.write(instances, tmp_path / "source")
    assert dciodvfy(paths["seg"]) == []
    assert dciodvfy(paths["sr"]) == []
    assert dcentvfy([*sources, *paths.values()]) == []
    assert "Lung volume" in dsrdump(paths["sr"])
    if modality == "CT":
        assert sr_validator(paths["sr"]) == []


@pytest.mark.validators
@pytest.mark.parametrize("outcome", Outcome)
def test_reports_without_findings_are_valid(outcome, tmp_path):
    instances = dicom_factory.series(name="empty handed", shape=(2, 8, 8))
    result = Result(outcome=outcome, reason="Because it is so.")
    encoded = encode(result, made.without_pixels(instances), made.run(), KINDS)
    paths = made.written(encoded, tmp_path)
    assert list(paths) == ["sr"]
    assert dciodvfy(paths["sr"]) == []
    if outcome is Outcome.NOT_SUITABLE:  # the slow one
        assert sr_validator(paths["sr"]) == []


def _bytes(ds):
    with BytesIO() as file:
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()
