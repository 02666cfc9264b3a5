"""The benchmark of encoders measures all of them on one mask, and compares what they wrote."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.validators
@pytest.mark.result_rule(27)
def test_time_size_and_memory_are_measured_beside_highdicom_and_dcmqi(tmp_path: Path) -> None:
    small = ("--segments", "3", "--slices", "40", "--size", "64", "--rounds", "1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.encode", *small, "--json", tmp_path / "rows.json"],
        capture_output=True,
        check=True,
        text=True,
    )
    rows = {row["writer"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert list(rows) == ["node", "node, report", "highdicom", "dcmqi"]
    for row in rows.values():
        assert min(row["wall_s"], row["cpu_s"], row["peak_mib"], row["bytes"]) > 0
    frames = {row["frames"] for name, row in rows.items() if name != "node, report"}
    assert len(frames) == 1
    assert "| 3 |" in done.stdout
