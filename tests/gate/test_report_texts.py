"""Names, codes, numbers and sides as some model may give them: what is right passes."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.laterality import Laterality
from dicom_ai_node.result import Finding, Measurement, Result
from tests.dicom_factory import series
from tests.encoders import made
from tests.gate.checked import Bench

SNOMED_EXTENSION = Code("900000000000207008", "SCT", "Of more than 16 characters")


@pytest.fixture(scope="module")
def instances() -> list[Dataset]:
    return series(name="odd texts", shape=(6, 24, 20))


@pytest.fixture(scope="module")
def result(instances: list[Dataset]) -> Result:
    return made.findings(instances)


@pytest.fixture(scope="module")
def finding(result: Result) -> Finding:
    return result.findings[0]


def millilitres(value: float) -> Measurement:
    return Measurement(name=made.VOLUME, value=value, unit=made.MILLILITER)


@pytest.mark.parametrize("name", ["Lung ", " Lung", "Lung\ttop", "Ä" * 70])
def test_a_name_with_spaces(
    tmp_path: Path, instances: list[Dataset], result: Result, finding: Finding, name: str
) -> None:
    named = replace(finding, tracking_identifier=name)
    Bench(tmp_path, instances, replace(result, findings=(named,))).check()


@pytest.mark.parametrize("value", [1e12 + 0.1234, 1e15 + 0.5, 123456.78949999, -0.0004, 1e20])
def test_a_number_of_more_digits_than_a_report_has_room_for(
    tmp_path: Path, instances: list[Dataset], result: Result, finding: Finding, value: float
) -> None:
    measured = replace(finding, measurements=(millilitres(value),))
    Bench(tmp_path, instances, replace(result, findings=(measured,))).check()


def test_a_code_of_more_than_16_characters(
    tmp_path: Path, instances: list[Dataset], result: Result, finding: Finding
) -> None:
    """It has an attribute of its own (PS3.3 8.1): in segments, findings and measurements."""
    segments = (replace(result.segments[0], type=SNOMED_EXTENSION), *result.segments[1:])
    measured = replace(millilitres(3.5), name=SNOMED_EXTENSION)
    found = replace(finding, code=SNOMED_EXTENSION, measurements=(measured,))
    Bench(tmp_path, instances, replace(result, segments=segments, findings=(found,))).check()


def test_two_findings_on_one_segment_share_the_name_of_the_first(
    tmp_path: Path, instances: list[Dataset], result: Result, finding: Finding
) -> None:
    """A tracking identifier is that of the segment; each still has its own numbers."""
    other = replace(finding, tracking_identifier="Mean", measurements=(millilitres(7.25),))
    both = replace(result, findings=(finding, other))
    bench = Bench(tmp_path, instances, both)
    bench.check()
    wrong = replace(other, measurements=(millilitres(7.5),))
    bench.work = replace(bench.work, result=replace(both, findings=(finding, wrong)))
    with pytest.raises(ResultMismatch, match="numbers"):
        bench.check()


def test_a_side_that_the_report_has_wrong_is_found(
    tmp_path: Path, instances: list[Dataset], result: Result, finding: Finding
) -> None:
    """And many nodules of one kind on both sides pass."""
    nodules = tuple(
        replace(
            finding,
            tracking_identifier=f"Nodule {number}",
            segment_number=None,
            site=made.LUNG,
            laterality=Laterality.LEFT if number % 2 else Laterality.RIGHT,
        )
        for number in range(1, 12)
    )
    Bench(tmp_path / "many", instances, replace(result, findings=nodules)).check()
    bench = Bench(tmp_path / "one", instances, replace(result, findings=nodules[:1]))
    bench.check()
    with pytest.raises(ResultMismatch, match=r"^sr: it states another side"):
        bench.alter("sr", turn_round).check()


def turn_round(ds: Dataset) -> None:
    for item in made.named(ds, "272741003"):
        item.ConceptCodeSequence[0].CodeValue = "24028007"
