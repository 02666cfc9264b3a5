"""A result is taken over from where a model may write: nothing there is believed but its form."""

import hashlib
import json
from pathlib import Path

import pytest

from dicom_ai_node.engines.engine import Failure
from dicom_ai_node.engines.handed_over import take_result
from dicom_ai_node.report import REPORT, Report


def written_object(**said: object) -> dict[str, object]:
    uids = {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.66.4", "series_instance_uid": "2.25.2"}
    known = {"kind": "seg", **uids, "sha256": "a" * 64, "size": 3, "frames": 0, "segments": 0}
    return {**known, "forms": ["binary"], **said}


def taken(folder: Path, target: Path) -> Report | Failure:
    """As the attempt process has said of its report when it had written it."""
    path = folder / REPORT
    content = path.read_bytes() if path.is_file() else b""
    return take_result(folder, target, sha256=hashlib.sha256(content).hexdigest())


def left(folder: Path, *, file: str = "1-seg.dcm") -> Path:
    """What an attempt leaves, with an object of that name in its report."""
    folder.mkdir()
    (folder / "1-seg.dcm").write_bytes(b"seg")
    written = written_object(sop_instance_uid="2.25.1", file=file)
    report = {
        "outcome": "findings",
        "reason": None,
        "objects": [written],
        "measurements": [],
        "timings": {},
    }
    (folder / REPORT).write_text(json.dumps(report))
    return folder


def test_a_whole_result_is_moved(tmp_path: Path) -> None:
    found = taken(left(tmp_path / "out"), tmp_path / "incoming" / "attempt")
    assert isinstance(found, Report)
    assert (tmp_path / "incoming" / "attempt" / "1-seg.dcm").read_bytes() == b"seg"
    assert not (tmp_path / "out").exists()


@pytest.mark.fault("E18")
def test_a_report_that_somebody_wrote_later_is_none(tmp_path: Path) -> None:
    """A model that ran after the attempt had ended may write where its result lies."""
    folder = left(tmp_path / "out")
    report = folder / REPORT
    said = hashlib.sha256(report.read_bytes()).hexdigest()
    report.write_text(report.read_text().replace("a" * 64, "b" * 64))
    found = take_result(folder, tmp_path / "attempt", sha256=said)
    assert isinstance(found, Failure)
    assert found.kind == "mismatch"


@pytest.mark.parametrize("report", [None, b"", b"[]", b"{}", b'{"outcome": "well"}', b"\xff"])
def test_success_without_a_report_is_none(tmp_path: Path, report: bytes | None) -> None:
    folder = left(tmp_path / "out")
    (folder / REPORT).unlink()
    if report is not None:
        (folder / REPORT).write_bytes(report)
    found = taken(folder, tmp_path / "attempt")
    assert isinstance(found, Failure)
    assert found.kind == "no_output"


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": 7},
        {"reason": "\ud800"},
        {"timings": {"predict": "long"}},
        {"timings": {"predict": float("nan")}},
        {"objects": [written_object(sop_instance_uid=1, file="1-seg.dcm")]},
        {"objects": [written_object(sop_instance_uid="x", file="1-seg.dcm")]},
        {"reason": "x" * (17 << 20)},
    ],
    ids=["number", "half", "words", "nan", "type", "uid", "large"],
)
def test_a_report_that_the_database_could_not_take_is_none(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """Once published, it would be read again by every further attempt."""
    folder = left(tmp_path / "out")
    report = json.loads((folder / REPORT).read_text())
    (folder / REPORT).write_text(json.dumps(report | changes))
    found = taken(folder, tmp_path / "attempt")
    assert isinstance(found, Failure)
    assert found.text == "the report of the attempt cannot be read"


def test_what_the_report_does_not_name_is_left_behind(tmp_path: Path) -> None:
    folder = left(tmp_path / "out")
    (folder / "core").write_bytes(b"of a gigabyte")
    (folder / "below" / "it").mkdir(parents=True)
    (folder / "below").chmod(0)
    assert isinstance(taken(folder, tmp_path / "attempt"), Report)
    assert {path.name for path in (tmp_path / "attempt").iterdir()} == {"1-seg.dcm", REPORT}


def test_a_link_to_a_result_is_none(tmp_path: Path) -> None:
    """The model could change what it leads to."""
    (tmp_path / "out").symlink_to(left(tmp_path / "scratch"))
    found = taken(tmp_path / "out", tmp_path / "attempt")
    assert isinstance(found, Failure)
    assert found.kind == "no_output"


@pytest.mark.parametrize("file", ["2-sr.dcm", "../secret", "/etc/passwd", "", ".", "link"])
def test_only_files_of_the_folder_are_results(tmp_path: Path, file: str) -> None:
    """A link would bring another file of this machine into the PACS."""
    (tmp_path / "secret").write_bytes(b"secret")
    folder = left(tmp_path / "out", file=file)
    (folder / "link").symlink_to(tmp_path / "secret")
    found = taken(folder, tmp_path / "attempt")
    assert isinstance(found, Failure)
    assert found.text == "an object that the report names is not there"


def test_no_folder_is_no_result(tmp_path: Path) -> None:
    found = taken(tmp_path / "out", tmp_path / "attempt")
    assert isinstance(found, Failure)
    assert found.text == "the attempt ended well, and left no result"


def test_a_result_that_cannot_be_moved_ends_its_attempt_alone(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    found = taken(left(tmp_path / "out"), tmp_path / "a file" / "attempt")
    assert isinstance(found, Failure)
    assert found.kind == "error"
