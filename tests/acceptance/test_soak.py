"""A minute of `make soak`, with the same reckoning."""

from pathlib import Path

import pytest

from tests.acceptance.kills.chaos import GAVE_UP
from tests.acceptance.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_node_that_is_ill_treated_for_a_minute_loses_and_doubles_nothing(tmp_path: Path) -> None:
    figures = soak(tmp_path, seconds=60, seed=3)
    assert figures.reckoning.lost == []
    assert figures.reckoning.doubled == []
    assert figures.reckoning.wrong == []
    assert figures.objects == figures.expected > 0
    assert GAVE_UP not in figures.happened
    assert sum(figures.happened.values()) >= 5
