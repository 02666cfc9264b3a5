"""The benchmark of growing tables runs, and its tables are what the schema takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_questions_a_drain_and_a_day_are_measured(tmp_path: Path) -> None:
    small = ("--jobs", "60", "300", "--rounds", "1", "--waiting", "1", "--studies", "2")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", *small, "--json", str(tmp_path / "found.json")],
        capture_output=True,
        check=False,
        text=True,
    )
    if "in memory" in done.stderr:
        pytest.skip("the temporary folder is in memory")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found["ms"]) == {"60", "300"}
    assert found["drain"]["objects"] == 2
    assert (found["day"]["studies"], found["day"]["with_result"]) == (2, 1)
