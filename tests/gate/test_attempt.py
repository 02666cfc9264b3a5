"""An attempt whose encoder is at fault: nothing wrong is left, and a radiologist is told."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from structlog.testing import capture_logs

from dicom_ai_node import attempt
from dicom_ai_node.encoders.encode import EncodedObject
from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.form import ALONE, COMPANIONS, Form, Kind, ReportForm, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.report import REPORT, Report, content_of
from dicom_ai_node.request import Request
from dicom_ai_node.study import IMAGE
from tests.dicom_factory import series, write
from tests.encoders import made
from tests.gate.test_gate import flip_rows, shift_by_a_slice
from tests.made import bright, stored

Fault = Callable[[Dataset], object]


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    paths = write(series(name="attempt", shape=(6, 24, 20)), tmp_path / "study")
    return Request(
        job_key="a" * 64,
        model=bright(tmp_path),
        inputs={IMAGE: tuple(stored(paths))},
        folder=tmp_path / "out",
        forms=(ALONE,),
    )


def with_fault(monkeypatch: pytest.MonkeyPatch, *, kind: str, fault: Fault) -> None:
    """An encoder that makes this mistake, in each object of the kind."""
    encode = attempt.encode

    def faulty(*arguments: Any, **further: Any) -> Sequence[EncodedObject]:
        encoded = encode(*arguments, **further)
        for each in encoded:
            if each.kind == kind:
                fault(each.dataset)
        return encoded

    monkeypatch.setattr(attempt, "encode", faulty)


def run(request: Request) -> Report:
    return attempt.run(request, lambda: open_model(request.model))


def test_what_was_checked_is_what_is_described(request_: Request) -> None:
    report = run(request_)
    assert report.outcome is Outcome.FINDINGS
    assert {"encode", "check"} <= set(report.timings)
    for each in report.objects:
        content = (request_.folder / each.file).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (each.size, each.sha256)
    assert (request_.folder / REPORT).read_bytes() == content_of(report)


def test_everything_that_a_peer_may_get_passes(request_: Request) -> None:
    """Pictures that share a series too."""
    forms = (
        Form(companions=COMPANIONS),
        Form(segmentation=Segmentation.LABELMAP, report=ReportForm.SPATIAL),
        Form(segmentation=Segmentation.RTSTRUCT, report=ReportForm.COMPREHENSIVE),
    )
    report = run(replace(request_, forms=forms))
    assert report.outcome is Outcome.FINDINGS, report.reason
    kinds = {each.kind for each in report.objects}
    assert {*COMPANIONS, Kind.SEG, Kind.LABELMAP, Kind.RTSTRUCT, Kind.SR} == kinds


@pytest.mark.fault("E17")
@pytest.mark.parametrize("fault", [flip_rows, shift_by_a_slice])
def test_a_wrong_result_is_destroyed_and_told_as_a_failure(
    request_: Request, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    with_fault(monkeypatch, kind="seg", fault=fault)
    with capture_logs() as said:
        report = run(request_)
    assert report.outcome is Outcome.FAILED
    assert report.reason is not None
    assert report.reason.startswith("The result did not pass its own check (seg: ")
    assert sorted(path.name for path in request_.folder.iterdir()) == ["1-sr.dcm", REPORT]
    sr = pydicom.dcmread(request_.folder / "1-sr.dcm")
    assert made.coded(made.named(sr, "111017")[0]) == "111245"
    assert not made.named(sr, made.VOLUME.value)
    (alarm,) = [entry for entry in said if entry["event"] == "result_destroyed"]
    assert alarm["log_level"] == "error"
    assert str(alarm["why"]) in report.reason


@pytest.mark.fault("E17")
def test_a_fault_that_even_the_report_of_it_has_leaves_nothing(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_fault(monkeypatch, kind="sr", fault=lambda ds: setattr(ds, "PatientID", "ELSE"))
    with pytest.raises(ResultMismatch, match=r"^sr: PatientID differs from the images$"):
        run(request_)
    assert not request_.folder.exists()


def test_a_report_with_other_numbers_is_destroyed(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_fault(monkeypatch, kind="sr", fault=halve_the_volume)
    assert run(request_).outcome is Outcome.FAILED


def halve_the_volume(ds: Dataset) -> None:
    for item in made.named(ds, made.VOLUME.value):
        item.MeasuredValueSequence[0].NumericValue = "0.5"
