"""What the node tries itself with, and how its answer is judged."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node.config.expected import Expected, ExpectedMeasurement
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.job import Outcome
from dicom_ai_node.probe.answer import differences
from dicom_ai_node.probe.case import case_for
from tests import dicom_factory
from tests.made import bright

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STUDY = "2.25.123"


def with_case(folder: Path) -> InstalledModel:
    """A package that brings a series of somebody, and the answer to it."""
    case = folder / "known_answer" / "case"
    dicom_factory.write(dicom_factory.series(), case)
    expected = {"outcome": "findings", "findings": 1}
    (folder / "known_answer" / "expected.json").write_text(json.dumps(expected))
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    model = bright(folder, known_answer="known_answer")
    return model.model_copy(update={"files": files})


def test_the_case_of_a_package_is_sent_as_the_study_of_nobody(tmp_path: Path) -> None:
    case = case_for(with_case(tmp_path), STUDY, AT)
    before = dicom_factory.series()
    assert len(case.instances) == len(before)
    assert case.expected == Expected(outcome=Outcome.FINDINGS, findings=1)
    for sent, original in zip(case.instances, before, strict=True):
        assert (sent.PatientName, sent.PatientID) == ("NODE^PROBE", "AI-NODE-PROBE")
        assert not sent.PatientBirthDate
        assert not sent.AccessionNumber
        assert sent.StudyInstanceUID == STUDY
        assert sent.StudyDate == "20260304"
        assert sent.PixelData == original.PixelData
        for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            assert sent[keyword].value != original[keyword].value
        assert sent.file_meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID
    assert len({ds.SeriesInstanceUID for ds in case.instances}) == 1


def test_a_repeated_run_sends_the_same_and_another_run_another_study(tmp_path: Path) -> None:
    model = with_case(tmp_path)
    first, again = (case_for(model, STUDY, AT).instances for _ in range(2))
    other = case_for(model, "2.25.124", AT).instances
    assert [ds.SOPInstanceUID for ds in first] == [ds.SOPInstanceUID for ds in again]
    assert {ds.SOPInstanceUID for ds in first}.isdisjoint(ds.SOPInstanceUID for ds in other)


def test_a_case_that_was_changed_is_not_sent(tmp_path: Path) -> None:
    model = with_case(tmp_path)
    file = next((tmp_path / "known_answer" / "case").iterdir())
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ConfigError, match="is not the one that was installed"):
        case_for(model, STUDY, AT)


def test_a_model_without_a_case_says_which_has_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name threshold-ct, or put one into its package"):
        case_for(bright(tmp_path), STUDY, AT)


DUE = Expected(
    outcome=Outcome.FINDINGS,
    measurements=(ExpectedMeasurement(finding="Bone 1", name="Volume", value=28.8, tolerance=0.3),),
)


def _code(value: str, meaning: str) -> list[Dataset]:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, "DCM", meaning
    return [ds]


def report(volume: float, finding: str = "Bone 1") -> Dataset:
    """Of one measurement group, as far as it is looked at."""
    tracking = Dataset()
    tracking.ValueType, tracking.TextValue = "TEXT", finding
    tracking.ConceptNameCodeSequence = _code("112039", "Tracking Identifier")
    measured = Dataset()
    measured.NumericValue = str(volume)
    number = Dataset()
    number.ValueType, number.MeasuredValueSequence = "NUM", [measured]
    number.ConceptNameCodeSequence = _code("118565006", "Volume")
    group = Dataset()
    group.ValueType, group.ContentSequence = "CONTAINER", [tracking, number]
    group.ConceptNameCodeSequence = _code("125007", "Measurement Group")
    root = Dataset()
    root.ContentSequence = [group]
    return root


@pytest.mark.parametrize(
    ("outcome", "reports", "said"),
    [
        (Outcome.FINDINGS, [report(28.9)], []),
        (
            Outcome.FINDINGS,
            [report(29.2)],
            ["Bone 1: Volume is 29.2, and 28.8 ± 0.3 was due"],
        ),
        (
            Outcome.FINDINGS,
            [report(28.8, "Brain 1")],
            ["Bone 1: Volume is not there, and 28.8 ± 0.3 was due"],
        ),
        (
            Outcome.NONE,
            [],
            [
                "the outcome is none, and findings was due",
                "Bone 1: Volume is not there, and 28.8 ± 0.3 was due",
            ],
        ),
    ],
)
def test_each_difference_is_said(outcome: Outcome, reports: list[Dataset], said: list[str]) -> None:
    assert differences(outcome, reports, DUE) == said
