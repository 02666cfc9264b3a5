"""The kill switch's markers in the model store."""

import os
from pathlib import Path

import pytest

from dicom_ai_node.config.disabled import FOLDER, disable, enable, read_disabled
from dicom_ai_node.config.store import read_store
from dicom_ai_node.errors import ConfigError
from tests.made import bright


def test_a_model_is_disabled_until_it_is_enabled(tmp_path: Path) -> None:
    model = bright(tmp_path)
    assert read_disabled(tmp_path / "no store") == {}
    made = disable(tmp_path, model, why="ticket 4711", now=1.0)
    assert read_disabled(tmp_path) == {("bright", "1.0"): made}
    assert made.sentence == "bright 1.0 is disabled: ticket 4711"
    assert read_store(tmp_path).models == []  # a marker is no model
    assert enable(tmp_path, "bright", "1.0")
    assert read_disabled(tmp_path) == {}
    assert not enable(tmp_path, "bright", "1.0")


def test_a_marker_that_cannot_be_read_disables_all_the_same(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "bright 1.0.json").write_text("{")
    assert read_disabled(tmp_path)["bright", "1.0"].why == "its marker is unreadable"


def test_a_marker_of_root_is_seen_by_the_user_of_the_node(tmp_path: Path) -> None:
    """Commands of the administrator run with an umask for patients' data."""
    before = os.umask(0o077)
    try:
        disable(tmp_path, bright(tmp_path), why="", now=1.0)
    finally:
        os.umask(before)
    folder = tmp_path / FOLDER
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o644]


def test_where_nobody_can_tell_what_is_disabled_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("no folder")
    with pytest.raises(ConfigError, match="nobody knows which models are disabled"):
        read_disabled(tmp_path)
