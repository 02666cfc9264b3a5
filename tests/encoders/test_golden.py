"""What a radiologist reads of each outcome in a text viewer: as it was, and never alike."""

import pytest

from dicom_ai_node.job import Outcome
from tests.encoders import made
from tests.encoders.golden_reports import FOLDER, reports, text_of
from tests.validators import dciodvfy, sr_validator

SUMMARY, FINDING = "111017", "121071"
HEADLINES = {
    Outcome.FINDINGS: "AI RESULT: findings",
    Outcome.NONE: "AI RESULT: NO FINDING",
    Outcome.PARTLY: "AI RESULT: INCOMPLETE",
    Outcome.FAILED: "AI FAILED: the images were NOT ANALYSED",
    Outcome.NOT_SUITABLE: "AI NOT SUITABLE: the images were NOT ANALYSED",
    Outcome.ABSTAINED: "AI NO ANSWER",
}


@pytest.fixture(scope="module")
def made_now():
    return reports()


@pytest.mark.result_rule(16, 28)
@pytest.mark.validators
@pytest.mark.parametrize("outcome", Outcome)
def test_the_text_is_that_of_the_golden_file(made_now, outcome, tmp_path):
    """After a change that is meant: python -m tests.encoders.golden_reports."""
    golden = (FOLDER / f"{outcome}.txt").read_text("utf-8")
    assert text_of(made_now[outcome], tmp_path) == golden


@pytest.mark.result_rule(16)
def test_no_two_outcomes_read_alike():
    texts = {outcome: (FOLDER / f"{outcome}.txt").read_text("utf-8") for outcome in Outcome}
    assert len(set(texts.values())) == len(Outcome)
    for outcome, headline in HEADLINES.items():
        assert [other for other in texts if headline in texts[other]] == [outcome]


@pytest.mark.result_rule(15)
@pytest.mark.parametrize("outcome", Outcome)
def test_the_status_is_a_code_and_nothing_absent_is_a_finding(made_now, outcome):
    ds = made_now[outcome]
    assert len(made.named(ds, SUMMARY)) == 1
    found = {made.coded(item) for item in made.named(ds, FINDING)}
    assert "60046008" not in found  # the effusion is absent, or undecided
    assert bool(found) == (outcome in (Outcome.FINDINGS, Outcome.PARTLY))


@pytest.mark.result_rule(18, 19)
@pytest.mark.validators
@pytest.mark.parametrize("outcome", Outcome)
def test_the_validators_find_nothing(made_now, outcome, tmp_path):
    path = tmp_path / "sr.dcm"
    made_now[outcome].save_as(path, enforce_file_format=True)
    assert dciodvfy(path) == []
    assert sr_validator(path) == []
