"""What a worker takes over is compared with what was stored, whoever wrote it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.identity import Claim, check_distinct
from dicom_ai_node.gate.told import check_told
from dicom_ai_node.outbox import verified
from tests.dicom_factory import series, write
from tests.gate.told import hand_over, object_of, telling


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (path,) = write(series(name="told", shape=(1, 4, 4)), tmp_path / "study")
    return path


def refer(ds: Dataset, uid: str) -> None:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, uid
    ds.ReferencedInstanceSequence = [item]


def test_what_is_of_the_study_passes(tmp_path: Path, source: Path) -> None:
    ds = object_of(source)
    refer(ds, "2.25.9")
    report = hand_over(tmp_path / "out", ds)
    check_told(tmp_path / "out", report.objects, source, {"2.25.9"})


FAULTS: dict[str, Callable[[Dataset], object]] = {
    "PatientID": lambda ds: setattr(ds, "PatientID", "ELSE"),
    "StudyInstanceUID": lambda ds: setattr(ds, "StudyInstanceUID", "2.25.3"),
    "not analysed": lambda ds: refer(ds, "2.25.4"),
    "private": lambda ds: ds.private_block(0x11, "X", create=True).add_new(1, "LO", "x"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_of_others_does_not(tmp_path: Path, source: Path, what: str) -> None:
    ds = object_of(source)
    FAULTS[what](ds)
    report = hand_over(tmp_path / "out", ds)
    with pytest.raises(ResultMismatch, match=what):
        check_told(tmp_path / "out", report.objects, source, {"2.25.9"})


@pytest.mark.parametrize(
    "said",
    [
        {"sha256": "a" * 64},
        {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.34"},
        {"sop_instance_uid": "2.25.7"},
        {"series_instance_uid": "2.25.8"},
        {"file": "2-sr.dcm"},
    ],
)
def test_what_is_not_as_the_report_tells_does_not(
    tmp_path: Path, source: Path, said: dict[str, str]
) -> None:
    report = telling(hand_over(tmp_path / "out", object_of(source)), **said)
    with pytest.raises(ResultMismatch, match=r"^seg: "):
        check_told(tmp_path / "out", report.objects, source, set())


def claim(**said: str) -> Claim:
    usual = {"sop_class_uid": "1.2", "sop_instance_uid": "2.25.1", "series_instance_uid": "2.25.2"}
    return Claim(**(usual | said))


def test_pictures_may_share_a_series_and_nothing_else_may() -> None:
    check_distinct([claim(), claim(sop_instance_uid="2.25.3")])
    for other in (claim(), claim(sop_instance_uid="2.25.3", sop_class_uid="1.3")):
        with pytest.raises(ResultMismatch, match="share"):
            check_distinct([claim(), other])


def test_a_file_is_what_was_made_or_not(tmp_path: Path, source: Path) -> None:
    (written,) = hand_over(tmp_path / "out", object_of(source)).objects
    path = tmp_path / "out" / written.file
    assert verified(path, written.sha256)
    assert verified(path, "")  # made by a version that kept no hash
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not verified(path, written.sha256)
    path.unlink()
    assert not verified(path, written.sha256)
    assert not verified(path, "")
