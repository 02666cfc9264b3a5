"""docs/radiologists.md has the words that a summary page really begins with."""

from pathlib import Path

import pytest

from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.job import Outcome

PAGE = (Path(__file__).parents[2] / "docs" / "radiologists.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("outcome", Outcome)
def test_each_headline_is_explained(outcome: Outcome) -> None:
    assert f"\n| **{STATUS[outcome].headline}** | " in PAGE
