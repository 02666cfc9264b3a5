"""The kill switch's markers in the model store."""

from pathlib import Path

from dicom_ai_node.config.disabled import FOLDER, disable, enable, read_disabled
from dicom_ai_node.config.store import read_store
from tests.made import bright


def test_a_model_is_disabled_until_it_is_enabled(tmp_path: Path) -> None:
    model = bright(tmp_path)
    assert read_disabled(tmp_path / "no store") == {}
    made = disable(tmp_path, model, why="ticket 4711", now=1.0)
    assert read_disabled(tmp_path) == {("bright", "1.0"): made}
    assert made.sentence == "bright 1.0 is disabled: ticket 4711"
    assert read_store(tmp_path).models == []  # a marker is no model
    assert enable(tmp_path, model)
    assert read_disabled(tmp_path) == {}
    assert not enable(tmp_path, model)


def test_a_marker_that_cannot_be_read_disables_all_the_same(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "bright 1.0.json").write_text("{")
    assert read_disabled(tmp_path)["bright", "1.0"].why == "its marker is unreadable"
