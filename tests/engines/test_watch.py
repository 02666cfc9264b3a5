"""What files cost, as the watch counts them."""

import math
import os
from pathlib import Path

import pytest

from dicom_ai_node.engines.watch import size_mb


def test_each_file_costs_something_and_counting_ends_at_enough(tmp_path: Path) -> None:
    for number in range(32):
        (tmp_path / str(number)).touch()
    assert size_mb(tmp_path, enough=100) == 2
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "large").write_bytes(bytes(3 << 20))
    (tmp_path / "link").symlink_to(tmp_path / "below" / "large")
    assert size_mb(tmp_path, enough=100) == pytest.approx(5.1, abs=0.1)
    assert size_mb(tmp_path, enough=1) == pytest.approx(2.1, abs=0.1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into every folder")
def test_a_folder_that_lets_nobody_look_inside_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir(mode=0)
    assert size_mb(tmp_path, enough=100) == math.inf
