"""QIDO-RS: which studies there are."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.peers.dicomweb.query import DicomwebQuery
from dicom_ai_node.peers.recent_study import RecentStudy
from tests.peers.dicomweb.server import DicomwebServer, Reply, Request

SINCE, UNTIL = datetime(2026, 1, 1, 22, tzinfo=UTC), datetime(2026, 1, 2, 8, tzinfo=UTC)


def study(uid: str, **values: Sequence[Any]) -> dict[str, Any]:
    tags = {
        "date": "00080020",
        "time": "00080030",
        "modalities": "00080061",
        "instances": "00201208",
    }
    known = {tags[name]: {"vr": "XX", "Value": list(value)} for name, value in values.items()}
    name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Phantom^Left"}]}}
    return {"0020000D": {"vr": "UI", "Value": [uid]}, **name, **known}


def answers(*studies: Mapping[str, Any]) -> Reply:
    return Reply(body=json.dumps(studies).encode())


def asked(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.path).query)


def test_the_newest_studies_of_these_days_come_first() -> None:
    old = study("1.2.1", date=["20260101"], time=["220000"], modalities=["CT"], instances=[12])
    new = study("1.2.3", date=["20260102"], time=["070000"], modalities=["MR", "SR"])
    between = study("1.2.2", date=["20260102"], time=["010000"], instances=["7"])
    with DicomwebServer(answer=lambda _: answers(old, new, between)).running() as server:
        found = DicomwebQuery(server.settings()).recent(SINCE, UNTIL, 2)
    assert found == [
        RecentStudy(study_instance_uid="1.2.3", modalities=frozenset({"MR", "SR"}), instances=None),
        RecentStudy(study_instance_uid="1.2.2", modalities=frozenset(), instances=7),
    ]
    (request,) = server.requests
    assert urlsplit(request.path).path == "/dicom-web/studies"
    assert asked(request)["StudyDate"] == ["20260101-20260102"]


def test_page_after_page_is_asked_for() -> None:
    every = [study(f"1.2.{number}", date=["20260101"]) for number in range(450)]

    def page(request: Request) -> Reply:
        first, limit = (int(asked(request)[key][0]) for key in ("offset", "limit"))
        return answers(*every[first : first + limit])

    with DicomwebServer(answer=page).running() as server:
        assert len(DicomwebQuery(server.settings()).recent(SINCE, UNTIL, 1000)) == 450
    assert len(server.requests) == 3


def test_a_service_that_does_not_know_pages_is_asked_twice() -> None:
    every = [study(f"1.2.{number}") for number in range(200)]
    with DicomwebServer(answer=lambda _: answers(*every)).running() as server:
        assert len(DicomwebQuery(server.settings()).recent(SINCE, UNTIL, 1000)) == 200
    assert len(server.requests) == 2


def test_a_service_without_an_end_is_left() -> None:
    def page(request: Request) -> Reply:
        first = int(asked(request)["offset"][0])
        return answers(*(study(f"1.2.{first + number}") for number in range(200)))

    with (
        DicomwebServer(answer=page).running() as server,
        pytest.raises(PeerUnreachable, match="more than 10000 studies"),
    ):
        DicomwebQuery(server.settings()).recent(SINCE, UNTIL, 10)


@pytest.mark.parametrize("reply", [Reply(status=204), answers(), Reply()])
def test_no_study_is_an_answer(reply: Reply) -> None:
    with DicomwebServer(answer=lambda _: reply).running() as server:
        assert DicomwebQuery(server.settings()).recent(SINCE, UNTIL, 10) == []


@pytest.mark.parametrize(
    "item", [3, None, [], {}, {"0020000D": 7}, study(""), study("../x"), study("1.2", date=[{}])]
)
def test_a_study_that_is_no_study_is_passed_over(item: Any) -> None:
    good = study("1.2.9", date=["20260101"])
    with DicomwebServer(answer=lambda _: answers(item, good)).running() as server:
        found = DicomwebQuery(server.settings()).recent(SINCE, UNTIL, 10)
    assert "1.2.9" in [each.study_instance_uid for each in found]
    assert {each.study_instance_uid for each in found} <= {"1.2", "1.2.9"}


@pytest.mark.parametrize(
    "reply",
    [Reply(body=b"<html>"), Reply(body=b'{"a": 1}'), Reply(body=b"[" * 9999), Reply(status=404)],
)
def test_what_is_no_dicomweb_service_is_for_a_person(reply: Reply) -> None:
    with (
        DicomwebServer(answer=lambda _: reply).running() as server,
        pytest.raises(PeerRefusesUs, match="check url"),
    ):
        DicomwebQuery(server.settings()).echo()


@pytest.mark.parametrize("status", [404, 410])
def test_a_study_that_is_there_no_more_has_no_series(status: int) -> None:
    with DicomwebServer(answer=lambda _: Reply(status=status)).running() as server:
        assert DicomwebQuery(server.settings()).series("1.2.3") == []


def test_an_echo_asks_for_nobodys_data() -> None:
    with DicomwebServer(answer=lambda _: answers()).running() as server:
        DicomwebQuery(server.settings()).echo()
    assert asked(server.requests[0])["StudyInstanceUID"][0].startswith("2.25.")
