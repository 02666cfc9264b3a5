"""What goes along costs nobody segmentation and report."""

from collections.abc import Sequence
from typing import NoReturn

import pytest
from pydicom import Dataset
from structlog.testing import capture_logs

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.companions.companion import ENCODERS
from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.form import Form, Kind, ReportForm
from tests.dicom_factory import series
from tests.encoders import made

BOTH = (Kind.SUMMARY, Kind.KEY_OBJECTS)


def broken(basis: Basis) -> NoReturn:
    raise IndexError("Phantom^Left")


@pytest.fixture(scope="module")
def instances() -> list[Dataset]:
    return series(name="left out", shape=(6, 24, 20))


@pytest.fixture
def broken_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, Kind.SUMMARY, broken)  # type: ignore[arg-type]


def encoded(instances: Sequence[Dataset], *forms: Form) -> list[EncodedObject]:
    headers = made.without_pixels(instances)
    return encode(made.findings(instances), headers, made.run(), ("seg", "sr"), forms=forms)


@pytest.mark.usefixtures("broken_summary")
def test_one_that_cannot_be_made_is_left_out_with_an_alarm(instances: list[Dataset]) -> None:
    with capture_logs() as said:
        objects = encoded(instances, Form(companions=BOTH))
    assert [each.kind for each in objects] == [Kind.SEG, Kind.SR, Kind.KEY_OBJECTS]
    (alarm,) = [entry for entry in said if entry["event"] == "companion_left_out"]
    assert (alarm["log_level"], alarm["kind"]) == ("error", Kind.SUMMARY)
    assert alarm["exc_info"]  # of which the log keeps the frames alone


@pytest.mark.usefixtures("broken_summary")
def test_not_where_nothing_else_would_say_how_it_went(instances: list[Dataset]) -> None:
    """A peer that takes no report has the page instead: the attempt fails, and is tried again."""
    with pytest.raises(IndexError):
        encoded(instances, Form(companions=BOTH), Form(report=ReportForm.NONE, companions=BOTH))


def test_a_machine_without_memory_is_no_fault_of_a_companion(
    instances: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(basis: Basis) -> NoReturn:
        raise MemoryError

    monkeypatch.setitem(ENCODERS, Kind.SUMMARY, out_of_memory)  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        encoded(instances, Form(companions=BOTH))
