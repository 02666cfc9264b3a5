"""A program that runs outside sees no patient; what it finds comes back to the right one, byte for
byte as if it had seen everything."""

import copy
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.sequence import Sequence

from dicom_ai_node import attempt
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.privacy_check import mistakes_of_outside, mistakes_of_privacy
from dicom_ai_node.config.settings import Config
from dicom_ai_node.deidentification.burned_in import require_clean
from dicom_ai_node.deidentification.dates import shifted
from dicom_ai_node.deidentification.profile import deidentified
from dicom_ai_node.deidentification.pseudonyms import Pseudonyms, patient_key
from dicom_ai_node.deidentification.site_key import read_site_key
from dicom_ai_node.errors import ConfigError, InputError
from dicom_ai_node.input import Outside
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.request import Request
from dicom_ai_node.spool import Spool
from tests import dicom_factory
from tests.made import bright, configuration, stored
from tests.models.program.test_command import BOX, MAP, install

KEY = patient_key(b"s" * 32, "p" * 64)
NAMES = Pseudonyms(KEY)
FINISHED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
WORD = "ZZCANARY"
# keeps all that it was given, and its environment, where the test finds it
SPY = """
import json, os, shutil, sys
shutil.copytree(os.environ["HOLOSCAN_INPUT_PATH"], {seen!r} + "/files")
with open({seen!r} + "/told", "w") as file:
    json.dump([dict(os.environ), sys.argv, open("/proc/self/cmdline").read()], file)
"""


def labelled(ds: Dataset) -> Dataset:
    """Each text attribute of every kind is a word of its own, in private ones and items as well."""
    made = copy.deepcopy(ds)
    for keyword in (
        *("PatientName", "PatientID", "OtherPatientNames", "AccessionNumber", "StudyID"),
        *("StudyDescription", "SeriesDescription", "InstitutionName", "ReferringPhysicianName"),
        *("OperatorsName", "PatientComments", "ImageComments", "ProtocolName", "StationName"),
        *("AdditionalPatientHistory", "IssuerOfPatientID", "InstitutionAddress", "PatientAddress"),
        *("RequestedProcedureDescription", "DeviceSerialNumber", "DerivationDescription"),
        *("ContrastBolusAgent", "AcquisitionComments", "BodyPartExamined", "ScanOptions"),
    ):
        setattr(made, keyword, f"{WORD} {keyword.lower()}"[:60])
    made.PatientBirthDate = "19490317"
    item = Dataset()
    item.RequestedProcedureDescription = f"{WORD} item"
    item.ScheduledProcedureStepID = f"{WORD} step"
    made.RequestAttributesSequence = Sequence([item])
    made.add(DataElement(0x00090010, "LO", f"{WORD} creator"))
    made.add(DataElement(0x00091001, "LT", f"{WORD} private"))
    made.add(DataElement(0x60003000, "OW", f"{WORD}overlay".encode() + b"\0"))
    return made


@pytest.fixture
def study(tmp_path: Path) -> list[Path]:
    made = [labelled(ds) for ds in dicom_factory.series()]
    return dicom_factory.write(made, tmp_path / f"{WORD}-study")


def spy(home: Path, **keys: Any) -> tuple[InstalledModel, Path]:
    """The program of a MONAI application package, which answers with a DICOM SEG."""
    seen = home / "seen"
    seen.mkdir(parents=True)
    script = SPY.format(seen=str(seen)) + MAP
    model = install(
        home,
        [sys.executable, "{model}/run.py"],
        {"run.py": script.encode()},
        give="dicom",
        naming="mercure",
        take="dicom_seg",
        segments=[BOX],
        labels={2: "Found by the MAP"},
        **keys,
    )
    return model, seen


def run(model: InstalledModel, study: list[Path], folder: Path, outside: Outside | None) -> Any:
    request = Request(
        job_key="k" * 64,
        model=model,
        inputs={"image": tuple(stored(study))},
        folder=folder,
        outside=outside,
    )
    return attempt.run(request, lambda: open_model(model), clock=lambda: FINISHED)


def every_byte(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder)).encode()
        if path.is_file():
            yield path.read_bytes()


def test_a_program_outside_sees_nobody_and_its_answer_is_the_same(
    tmp_path: Path, study: list[Path]
) -> None:
    known, _ = spy(tmp_path / "known")
    unknown, seen = spy(tmp_path / "unknown")
    unknown = unknown.model_copy(update={"sha256": known.sha256})  # else the same model
    first = run(known, study, tmp_path / "first", None)
    second = run(unknown, study, tmp_path / "second", Outside(key=KEY))
    assert first.outcome == second.outcome == "findings"
    assert [each.file for each in first.objects] == [each.file for each in second.objects]
    for each in first.objects:
        assert (tmp_path / "first" / each.file).read_bytes() == (
            tmp_path / "second" / each.file
        ).read_bytes()

    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in study]
    secret = {WORD, "19490317", "20260102"}
    secret |= {str(ds[name].value) for ds in headers for name in _UIDS}
    files = [path for path in seen.rglob("*") if path.is_file()]
    assert len(files) == len(study) + 2  # task.json, and what it was told
    told = b"\n".join(every_byte(seen)).replace(str(tmp_path).encode(), b"")
    assert [each for each in secret if each.encode() in told] == []


_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def test_what_a_model_needs_is_still_there() -> None:
    ds = labelled(dicom_factory.series(modality="MR")[3])
    ds.PatientAge, ds.PatientSex, ds.PatientWeight = "093Y", "F", "61"
    made = deidentified(ds, NAMES, keep=("age", "sex"))
    same = (
        *("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
        *("RepetitionTime", "EchoTime", "MRAcquisitionType", "Modality", "SOPClassUID"),
        *("ImageType", "PixelData", "PatientPosition", "SliceThickness", "Manufacturer"),
    )
    for keyword in same:
        assert made[keyword].value == ds[keyword].value, keyword
    assert (made.PatientAge, made.PatientSex, made.PatientWeight) == ("090Y", "F", None)
    assert made.PatientIdentityRemoved == "YES"
    assert not made.BodyPartExamined  # it holds a sentence
    assert not deidentified(ds, NAMES).PatientAge


def test_pseudonyms_are_stable_for_a_patient_and_differ_between_patients_and_sites() -> None:
    other = Pseudonyms(patient_key(b"s" * 32, "q" * 64))
    elsewhere = Pseudonyms(patient_key(b"t" * 32, "p" * 64))
    assert Pseudonyms(KEY).patient == NAMES.patient
    assert len({NAMES.patient, other.patient, elsewhere.patient}) == 3
    assert len({each.uid("1.2.3") for each in (NAMES, other, elsewhere)}) == 3
    assert NAMES.shift_days < 0
    assert "s" * 8 not in repr(Outside(key=b"s" * 32))


def test_intervals_between_studies_stay_what_they_are() -> None:
    first, second = dicom_factory.series()[0], copy.deepcopy(dicom_factory.series()[0])
    second.StudyDate = "20260112"
    made = [deidentified(ds, NAMES) for ds in (first, second)]
    days = [pydicom.valuerep.DA(ds.StudyDate) for ds in made]
    assert (days[1] - days[0]).days == 10
    assert made[0].StudyTime == first.StudyTime
    assert made[0].StudyInstanceUID == made[1].StudyInstanceUID != first.StudyInstanceUID


@pytest.mark.parametrize("text", ["2026", "20261399", "yesterday", "", "00010101"])
def test_what_is_no_date_goes(text: str) -> None:
    assert shifted(text, -400) is None


def test_a_date_with_a_time_keeps_the_time() -> None:
    assert shifted("20260301101112.5+0100", -1) == "20260228101112.5+0100"


@pytest.mark.parametrize(
    ("change", "is_clean"),
    [
        ({}, True),
        ({"BurnedInAnnotation": "NO"}, True),
        ({"BurnedInAnnotation": "YES"}, False),
        ({"BurnedInAnnotation": "PERHAPS"}, False),
        ({"Modality": "US"}, False),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, True),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, False),
        ({"ConversionType": "WSD"}, False),
    ],
)
def test_pixels_that_may_hold_text_are_not_given_away(
    change: dict[str, Any], is_clean: bool
) -> None:
    ds = copy.deepcopy(dicom_factory.series()[0])
    for keyword, value in change.items():
        setattr(ds, keyword, value)
    if is_clean:
        require_clean(ds)
        return
    with pytest.raises(InputError, match="text in their pixels"):
        require_clean(ds)


def test_a_study_with_text_in_its_pixels_is_not_suitable_and_the_program_not_run(
    tmp_path: Path,
) -> None:
    made = [copy.deepcopy(ds) for ds in dicom_factory.series()]
    for ds in made:
        ds.BurnedInAnnotation = "YES"
    model, seen = spy(tmp_path / "spy", outside=True)
    found = run(model, dicom_factory.write(made, tmp_path / "study"), tmp_path / "out", None)
    assert found.outcome == "not_suitable"
    assert "text in their pixels" in found.reason
    assert list(seen.iterdir()) == []


def test_a_package_that_says_so_is_outside_without_a_site_key(
    tmp_path: Path, study: list[Path]
) -> None:
    """As `predict` runs it, on a machine that has no node."""
    model, seen = spy(tmp_path / "spy", outside=True)
    assert run(model, study, tmp_path / "out", None).outcome == "findings"
    assert WORD.encode() not in b"".join(every_byte(seen)).replace(str(tmp_path).encode(), b"")


def test_the_sites_key_is_made_once_and_nobody_else_may_read_it(
    config: Config, spool: Spool
) -> None:
    key = read_site_key(config, spool)
    path = spool.root / "pseudonym-key"
    assert (len(key), path.stat().st_mode & 0o777) == (64, 0o600)
    assert read_site_key(config, spool) == key
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"privacy\.key_file"):
        read_site_key(config, spool)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="shorter than 32"):
        read_site_key(config, spool)


def test_what_cannot_be_deidentified_is_a_mistake_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path, privacy={"deidentify": ["bright"]})
    assert list(mistakes_of_privacy(config)) == []
    ((_, mistake),) = mistakes_of_outside(config, [bright(tmp_path)])
    assert "only the files of models of kind command" in mistake
    monkeypatch.setattr("dicom_ai_node.config.privacy_check.find_spec", lambda _: None)
    ((_, mistake),) = mistakes_of_privacy(config)
    assert 'pip install "dicom-ai-node[deid]"' in mistake
    outside, _ = spy(tmp_path / "spy", outside=True)
    assert len(list(mistakes_of_outside(config, [outside]))) == 1
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    config = configuration(tmp_path, privacy={"key_file": key})
    ((loc, _),) = mistakes_of_privacy(config)
    assert loc == ("privacy", "key_file")
    assert replace(Outside(key=b"k"), keep=("age",)).keep == ("age",)
