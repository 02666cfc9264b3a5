"""C-FIND for the studies of some days: whatever the PACS leaves out or adds."""

from datetime import datetime

import pytest
from pydicom import Dataset

from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.recent import find_recent, find_series
from dicom_ai_node.peers.recent_study import RecentSeries, RecentStudy
from tests.peers.archive import Archive, study

SINCE, UNTIL = datetime(2026, 1, 1, 12), datetime(2026, 1, 3, 9)  # noqa: DTZ001 — local, as DICOM's


def at(name: str, day: str, time: str | None) -> list[Dataset]:
    made = study(name, date=day)
    for ds in made:
        if time is None:
            del ds.StudyTime
        else:
            ds.StudyTime = time
    return made


def ask(archive: Archive, limit: int = 100) -> list[RecentStudy]:
    with archive.running():
        return find_recent(
            archive.settings, since=SINCE, until=UNTIL, limit=limit, calling_ae_title="AI_NODE"
        )


@pytest.mark.parametrize("matches_all", [False, True], ids=["a good PACS", "one that ignores keys"])
def test_the_studies_of_these_days_the_newest_first(matches_all: bool) -> None:
    """To the end of the last day: no clock can be trusted to the hour."""
    made = {
        "evening": at("evening", "20260103", "210000"),
        "morning": at("morning", "20260103", "0800"),
        "no time": at("no time", "20260102", None),
        "noon": at("noon", "20260101", "120000.5"),
        "too early": at("too early", "20260101", "115959"),
        "too late": at("too late", "20260104", "000000"),
        "no date": at("no date", "", "120000"),
    }
    archive = Archive(instances=[ds for each in made.values() for ds in each])
    archive.matches_all = matches_all
    found = ask(archive)
    expected = [
        made[name][0].StudyInstanceUID for name in ("evening", "morning", "no time", "noon")
    ]
    assert [each.study_instance_uid for each in found] == expected
    assert found[0] == RecentStudy(
        study_instance_uid=expected[0], modalities=frozenset({"CT"}), instances=2
    )
    assert [query.StudyDate for query in archive.asked] == ["20260103", "20260102", "20260101"]


def test_what_a_peer_does_not_say_is_unknown() -> None:
    def say_less(answer: Dataset) -> None:
        del answer.ModalitiesInStudy
        answer.StudyTime = "noon"

    (found,) = ask(Archive(instances=study("one", date="20260102"), counts=False, change=say_less))
    assert (found.modalities, found.instances) == (frozenset(), None)


def test_a_peer_that_finds_too_much_is_not_believed() -> None:
    made = [ds for name in "abc" for ds in study(name, date="20260102")]
    with pytest.raises(PeerUnreachable, match="more than 2 matches"):
        ask(Archive(instances=made), limit=2)


def test_the_series_of_a_study() -> None:
    made = study("ct", date="20260102") + study("mr", date="20260102", study="ct", modality="MR")
    made += study("else", date="20260102")
    archive = Archive(instances=made)
    with archive.running():
        found = find_series(archive.settings, made[0].StudyInstanceUID, calling_ae_title="AI_NODE")
    assert found == [
        RecentSeries(series_instance_uid=ds.SeriesInstanceUID, modality=modality, instances=2)
        for ds, modality in ((made[0], "CT"), (made[2], "MR"))
    ]
