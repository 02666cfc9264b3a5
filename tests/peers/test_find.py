"""C-FIND: exactly this patient's earlier studies, whatever the PACS matches by."""

from datetime import date
from typing import Any

import pytest
from pydicom import Dataset

from dicom_ai_node.errors import InputError, PeerUnreachable
from dicom_ai_node.peers.find import PriorStudy, count_series, find_priors
from tests.peers.archive import Archive, study

TODAY = date(2026, 1, 2)


def ask(archive: Archive, **changes: Any) -> list[PriorStudy]:
    standard = {
        "patient_id": "PHANTOM-1",
        "issuer": "Phantom Hospital",
        "before": TODAY,
        "within_days": 3650,
        "calling_ae_title": "AI_NODE",
    }
    with archive.running():
        return find_priors(archive.settings, **(standard | changes))


def dates(found: list[PriorStudy]) -> list[str]:
    return [f"{each.study_date:%Y%m%d}" for each in found]


@pytest.mark.parametrize("matches_all", [False, True], ids=["a good PACS", "one that ignores keys"])
def test_the_earlier_studies_of_the_patient_newest_first(matches_all: bool) -> None:
    """Not today's, none from the future, none that is too old, nobody else's."""
    days = ("20250101", "20251231", "20240301", "20260102", "20270101", "20110101")
    made = [ds for day in days for ds in study(day, date=day)]
    made += study("else", date="20250601", patient_id="PHANTOM-2")
    made += study("none", date="")
    found = ask(Archive(instances=made, matches_all=matches_all))
    assert dates(found) == ["20251231", "20250101", "20240301"]
    assert found[0] == PriorStudy(
        study_instance_uid=study("20251231", date="")[0].StudyInstanceUID,
        study_date=date(2025, 12, 31),
        modalities=frozenset({"CT"}),
        instances=2,
    )


@pytest.mark.parametrize(
    ("asked", "stored", "is_same"),
    [
        ("12345", "12345", True),
        ("12345 ", " 12345", True),  # padding (PS3.5 6.2)
        ("12345", "123456", False),
        ("abc", "ABC", False),
        ("0123", "123", False),
        ("Zoë", "Zoë", True),
        ("A B", "A  B", False),
    ],
)
def test_an_id_is_equal_or_it_is_another_one(asked: str, stored: str, is_same: bool) -> None:
    made = study("one", date="20250101", patient_id=stored)
    found = ask(Archive(instances=made, matches_all=True), patient_id=asked)
    assert dates(found) == (["20250101"] if is_same else [])


@pytest.mark.parametrize("patient_id", ["", "  ", "*", "123*", "12?", "1\\2"])
def test_an_id_that_would_match_others_is_not_asked_for(patient_id: str) -> None:
    archive = Archive(instances=study("one", date="20250101"))
    with pytest.raises(InputError, match="PatientID"):
        ask(archive, patient_id=patient_id)
    assert archive.asked == []


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [("A", "A", True), ("A", "B", False), ("", "B", True), ("A", "", True)],
)
def test_the_issuer_counts_where_both_name_one(ours: str, theirs: str, is_same: bool) -> None:
    made = study("one", date="20250101")
    for ds in made:
        ds.IssuerOfPatientID = theirs
    assert len(ask(Archive(instances=made), issuer=ours)) == is_same


def test_a_pacs_that_counts_nothing_and_names_no_modality() -> None:
    def bare(answer: Dataset) -> None:
        del answer.ModalitiesInStudy

    archive = Archive(instances=study("one", date="20250101"), counts=False, change=bare)
    (found,) = ask(archive)
    assert (found.instances, found.modalities) == (None, frozenset())


def test_an_answer_without_a_uid_or_with_a_wrong_date_is_passed_over() -> None:
    def spoil(answer: Dataset) -> None:
        if answer.StudyDate == "20250101":
            answer.StudyDate = "yesterday"
        else:
            answer.StudyInstanceUID = ""

    made = study("one", date="20250101") + study("two", date="20250102")
    assert ask(Archive(instances=made, matches_all=True, change=spoil)) == []


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (Archive(find_status=0xA700), "answered C-FIND with status A700"),
        (Archive(models=["1.2.840.10008.1.1"]), "does not take Study Root"),
    ],
)
def test_half_an_answer_is_none(archive: Archive, message: str) -> None:
    archive.instances = study("one", date="20250101")
    with pytest.raises(PeerUnreachable, match=message):
        ask(archive)


def test_nobody_there() -> None:
    with pytest.raises(PeerUnreachable, match="does not answer"):
        find_priors(
            Archive(port=1).settings,
            patient_id="1",
            issuer="",
            before=TODAY,
            within_days=1,
            calling_ae_title="AI_NODE",
        )


def test_the_series_of_a_study_are_counted() -> None:
    made = study("one", date="20250101", number=3, study="s")
    made += study("two", date="20250101", number=5, study="s")
    made += study("three", date="20250101")
    archive = Archive(instances=made)
    with archive.running():
        counts = count_series(
            archive.settings, made[0].StudyInstanceUID, calling_ae_title="AI_NODE"
        )
    assert counts == {made[0].SeriesInstanceUID: 3, made[3].SeriesInstanceUID: 5}
