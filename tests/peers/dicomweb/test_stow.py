"""STOW-RS to a service that is well, ill, picky or gone."""

import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.dicomweb.service import Service
from dicom_ai_node.peers.dicomweb.stow import DicomwebStore
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.peers.peer import (
    ALTERED,
    NOT_REACHED,
    NOT_SENT,
    NOT_WANTED,
    UNREADABLE,
    Offer,
)
from dicom_ai_node.uids import derived_uid
from tests.made import configuration
from tests.peers.dicomweb.server import DicomwebServer, Reply, Request, says, takes_all
from tests.peers.pacs import an_object, objects

PENDING, STORED, REFUSED = DeliveryState.PENDING, DeliveryState.STORED, DeliveryState.REFUSED
SEG, SR = derived_uid("job", "seg"), derived_uid("job", "sr")


def store(
    server: DicomwebServer, *offers: Offer, peer: DicomwebStore | None = None
) -> list[list[tuple[DeliveryState, str]]]:
    peer = peer or DicomwebStore(server.settings())
    return [[(each.state, each.status) for each in outcomes] for outcomes in peer.store(offers)]


def states(answered: Sequence[Sequence[tuple[DeliveryState, str]]]) -> list[list[DeliveryState]]:
    return [[state for state, _ in outcomes] for outcomes in answered]


def test_the_files_arrive_byte_for_byte_in_one_request(tmp_path: Path) -> None:
    first, second = objects(tmp_path / "1", "first"), objects(tmp_path / "2", "second")
    with DicomwebServer().running() as server:
        answered = store(server, Offer(paths=first), Offer(paths=second))
    assert states(answered) == [[STORED, STORED]] * 2
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/dicom-web/studies")
    assert request.headers["accept"] == "application/dicom+json"
    assert request.headers["content-type"].startswith(
        'multipart/related; type="application/dicom"; boundary='
    )
    assert request.parts == [path.read_bytes() for path in [*first, *second]]


def test_a_request_holds_no_more_than_it_may(tmp_path: Path) -> None:
    paths = [
        an_object(tmp_path / f"{number}.dcm", SegmentationStorage, derived_uid("big", number))
        for number in range(3)
    ]
    for path in paths:
        path.write_bytes(path.read_bytes() + bytes(600_000))  # trailing padding
    with DicomwebServer().running() as server:
        peer = DicomwebStore(server.settings(request_mb=1))
        assert states(store(server, Offer(paths=paths), peer=peer)) == [[STORED] * 3]
    assert [len(request.parts) for request in server.requests] == [1, 1, 1]
    assert server.stored == [path.read_bytes() for path in paths]


def test_a_large_object_is_not_held_in_memory(tmp_path: Path) -> None:
    path = an_object(tmp_path / "seg.dcm", SegmentationStorage, SEG)
    with path.open("r+b") as file:
        file.truncate(50_000_000)

    def counts(request: Request) -> Reply:
        return says([SEG])

    with DicomwebServer(answer=counts).running() as server:
        peer = DicomwebStore(server.settings())
        offer = Offer(paths=[path])
        sent = peer.store([offer])
        tracemalloc.start()
        try:
            # the server is in this process, too: it holds the request once
            assert [each.state for each in next(iter(sent))] == [STORED]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(server.requests[0].body) > 50_000_000
    assert peak < 50_000_000 * 1.1 + 5_000_000


@pytest.mark.parametrize(
    ("reason", "state", "form_refused"),
    [
        pytest.param(0x0111, STORED, False, marks=pytest.mark.fault("F14")),
        (0xB00E, STORED, False),
        (0xA700, PENDING, False),
        (0x0110, PENDING, False),
        (0xB00F, PENDING, False),
        (0xA900, REFUSED, False),
        (0xC000, REFUSED, False),
        (0x0122, REFUSED, True),
        (0xC122, REFUSED, True),
        (0x0124, REFUSED, False),
        (0x1234, REFUSED, False),
        (0x0000, REFUSED, False),
    ],
)
def test_a_reason_decides_for_each_object(
    tmp_path: Path, reason: int, state: DeliveryState, form_refused: bool
) -> None:
    """As for C-STORE (P7); the object beside it is stored."""
    with DicomwebServer(answer=lambda _: says([SR], {SEG: reason}, status=202)).running() as server:
        (outcomes,) = DicomwebStore(server.settings()).store([Offer(paths=objects(tmp_path))])
    assert (outcomes[0].state, outcomes[0].form_refused) == (state, form_refused)
    assert outcomes[1].state is STORED


@pytest.mark.fault("F5")
@pytest.mark.parametrize("code", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_kept(tmp_path: Path, code: int) -> None:
    answer = says({SEG: code, SR: None}, status=202)
    with DicomwebServer(answer=lambda _: answer).running() as server:
        (outcomes,) = DicomwebStore(server.settings()).store([Offer(paths=objects(tmp_path))])
    assert [each.state for each in outcomes] == [STORED, STORED]
    assert [each.has_warning for each in outcomes] == [True, False]
    assert outcomes[0].status.startswith(f"{code:04X}")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, STORED),
        (202, PENDING),
        (400, REFUSED),
        (409, REFUSED),
        (413, REFUSED),
        (415, REFUSED),
        (422, REFUSED),
        (500, PENDING),
    ],
)
def test_without_a_word_of_the_object_the_status_decides(
    tmp_path: Path, status: int, state: DeliveryState
) -> None:
    with DicomwebServer(answer=lambda _: Reply(status=status)).running() as server:
        (outcomes,) = DicomwebStore(server.settings()).store([Offer(paths=objects(tmp_path)[:1])])
    assert [each.state for each in outcomes] == [state]
    assert outcomes[0].status.startswith(f"HTTP {status}")
    assert outcomes[0].form_refused == (status == 415)


def test_an_answer_that_leaves_one_out_does_not_vouch_for_it(tmp_path: Path) -> None:
    with DicomwebServer(answer=lambda _: says([SEG])).running() as server:
        (answered,) = store(server, Offer(paths=objects(tmp_path)))
    assert [state for state, _ in answered] == [STORED, PENDING]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 5000, b"[1]", b'{"00081199": 3}', b"null"])
def test_an_answer_that_is_nonsense_is_no_answer_for_an_object(tmp_path: Path, body: bytes) -> None:
    reply = Reply(status=202, body=body)
    with DicomwebServer(answer=lambda _: reply).running() as server:
        assert states(store(server, Offer(paths=objects(tmp_path)))) == [[PENDING, PENDING]]


@pytest.mark.parametrize("status", [400, 409, 413, 500])
def test_one_bad_object_does_not_stop_the_others_of_its_request(
    tmp_path: Path, status: int
) -> None:
    """What is refused as a whole is sent one by one."""

    def refuses_reports(request: Request) -> Reply:
        return Reply(status=status) if SR in request.uids else takes_all(request)

    others = objects(tmp_path / "2", "other")
    with DicomwebServer(answer=refuses_reports).running() as server:
        answered = store(server, Offer(paths=objects(tmp_path / "1")), Offer(paths=others))
    assert states(answered) == [
        [STORED, PENDING if status == 500 else REFUSED],
        [STORED, STORED],
    ]
    assert [len(request.parts) for request in server.requests] == [4, 1, 1, 1, 1]


def test_no_more_is_sent_of_an_offer_after_its_form_is_refused(tmp_path: Path) -> None:
    def takes_no_segmentations(request: Request) -> Reply:
        return says((), dict.fromkeys(request.uids, 0x0122), status=409)

    offer = Offer(paths=objects(tmp_path), or_else=True)
    with DicomwebServer(answer=takes_no_segmentations).running() as server:
        (outcomes,) = DicomwebStore(server.settings()).store([offer])
    assert outcomes[0].form_refused
    assert outcomes[1] == NOT_SENT
    assert len(server.stored) == 1


def test_what_was_altered_is_not_sent_and_the_rest_is(tmp_path: Path) -> None:
    altered, sound = objects(tmp_path / "1", "altered"), objects(tmp_path / "2")
    offers = [Offer(paths=altered, is_sound=lambda: False), Offer(paths=sound)]
    with DicomwebServer().running() as server:
        answered = list(DicomwebStore(server.settings()).store(offers))
    assert answered[0] == [ALTERED, ALTERED]
    assert [each.state for each in answered[1]] == [STORED, STORED]
    assert server.stored == [path.read_bytes() for path in sound]


def test_what_is_no_longer_wanted_is_not_sent_and_the_rest_is(tmp_path: Path) -> None:
    cancelled, wanted = objects(tmp_path / "1", "cancelled"), objects(tmp_path / "2")
    offers = [Offer(paths=cancelled, is_wanted=lambda: False), Offer(paths=wanted)]
    with DicomwebServer().running() as server:
        answered = list(DicomwebStore(server.settings()).store(offers))
    assert answered[0] == [NOT_WANTED, NOT_WANTED]
    assert [each.state for each in answered[1]] == [STORED, STORED]
    assert server.stored == [path.read_bytes() for path in wanted]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    seg, sr = objects(tmp_path)
    seg.write_bytes(b"gone bad")
    missing = tmp_path / "missing.dcm"
    with DicomwebServer().running() as server:
        (outcomes,) = DicomwebStore(server.settings()).store([Offer(paths=[seg, missing, sr])])
    assert [each == UNREADABLE for each in outcomes] == [True, True, False]
    assert outcomes[2].state is STORED


@pytest.mark.fault("F1")
def test_a_service_that_is_down_is_unreachable_and_no_file_is_read(tmp_path: Path) -> None:
    read: list[bool] = []
    offer = Offer(paths=objects(tmp_path), is_sound=lambda: bool(read.append(True)) or True)
    server = DicomwebServer()
    with server.running():
        pass
    peer = DicomwebStore(server.settings())
    with pytest.raises(PeerUnreachable, match=rf"127\.0\.0\.1:{server.port}.* does not answer"):
        list(peer.store([offer]))
    assert not read
    with server.running():
        assert states(store(server, offer, peer=peer)) == [[STORED, STORED]]


@pytest.mark.fault("F1")
def test_a_host_name_that_nobody_knows_is_unreachable(tmp_path: Path) -> None:
    settings = DicomwebServer().settings(url="https://nowhere.invalid/dicom-web")
    with pytest.raises(PeerUnreachable, match="a host name that nobody knows"):
        list(DicomwebStore(settings).store([Offer(paths=objects(tmp_path))]))


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504, 507])
def test_a_service_that_is_not_well_is_tried_again(tmp_path: Path, status: int) -> None:
    offer = Offer(paths=objects(tmp_path))
    server = DicomwebServer(answer=lambda _: Reply(status=status))
    with server.running(), pytest.raises(PeerUnreachable, match=f"HTTP {status}"):
        store(server, offer)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405, 407, 501])
def test_a_service_that_does_not_take_us_is_for_a_person(tmp_path: Path, status: int) -> None:
    """Nothing is given up for it."""
    elsewhere = {"Location": "http://elsewhere.invalid/"}
    reply = Reply(status=status, headers=elsewhere)
    offer = Offer(paths=objects(tmp_path))
    server = DicomwebServer(answer=lambda _: reply)
    with server.running(), pytest.raises(PeerRefusesUs, match=f"HTTP {status}"):
        store(server, offer)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_wants_to_be_left_alone_is(tmp_path: Path, status: int) -> None:
    now = 1000.0
    is_busy = True

    def answer(request: Request) -> Reply:
        if is_busy:
            return Reply(status=status, headers={"Retry-After": "120"})
        return takes_all(request)

    offer = Offer(paths=objects(tmp_path))
    with DicomwebServer(answer=answer).running() as server:
        settings = server.settings()
        peer = DicomwebStore(settings, service=Service(settings, clock=lambda: now))
        with pytest.raises(PeerUnreachable, match=f"HTTP {status}"):
            store(server, offer, peer=peer)
        is_busy = False
        now += 119
        with pytest.raises(PeerUnreachable, match="left alone for 1 s more"):
            store(server, offer, peer=peer)
        assert len(server.requests) == 1
        now += 1
        assert states(store(server, offer, peer=peer)) == [[STORED, STORED]]


@pytest.mark.fault("F8")
def test_a_service_that_never_answers_ends_in_a_timeout(tmp_path: Path) -> None:
    offer = Offer(paths=objects(tmp_path))
    with DicomwebServer(answer=lambda _: Reply(status=None)).running() as server:
        peer = DicomwebStore(server.settings(timeout_s=0.3))
        with pytest.raises(PeerUnreachable, match="gave no answer in time"):
            store(server, offer, peer=peer)
    with DicomwebServer().running() as well:
        assert states(store(well, offer)) == [[STORED, STORED]]


@pytest.mark.fault("F7")
def test_an_object_at_which_the_service_breaks_off_does_not_hold_up_the_others(
    tmp_path: Path,
) -> None:
    """The request of several says nothing; then each goes alone, and the bad one is put off."""
    bad, good = objects(tmp_path / "1")[:1], objects(tmp_path / "2", "good")

    def breaks_at_it(request: Request) -> Reply:
        return Reply(status=0) if SEG in request.uids else takes_all(request)

    offers = [Offer(paths=bad), Offer(paths=good)]
    with DicomwebServer(answer=breaks_at_it).running() as server:
        peer = DicomwebStore(server.settings())
        with pytest.raises(PeerUnreachable, match="broke off the connection"):
            store(server, *offers, peer=peer)
        ((state, status),) = store(server, *offers, peer=peer)[0]
        assert (state, status) != (NOT_REACHED.state, NOT_REACHED.status)
        assert state is PENDING
        assert states(store(server, offers[1], peer=peer)) == [[STORED, STORED]]


def test_a_service_that_goes_down_in_between_leaves_the_rest_for_later(tmp_path: Path) -> None:
    first, second = objects(tmp_path / "1", "first"), objects(tmp_path / "2")

    def once(request: Request) -> Reply:
        busy = Reply(status=503, headers={"Retry-After": "5"})
        return takes_all(request) if len(server.requests) == 1 else busy

    server = DicomwebServer(answer=once)
    with server.running():
        offers = [Offer(paths=first, or_else=True), Offer(paths=second)]
        answered = list(DicomwebStore(server.settings()).store(offers))
    assert [each.state for each in answered[0]] == [STORED, PENDING]
    assert answered[0][1] == NOT_REACHED
    assert len(answered) == 1


def test_the_peer_is_opened_by_its_kind(tmp_path: Path) -> None:
    node = configuration(tmp_path).node
    with DicomwebServer().running() as server:
        (outcomes,) = open_peer(server.settings(), node).store([Offer(paths=objects(tmp_path))])
    assert [outcome.state for outcome in outcomes] == [STORED, STORED]


def test_without_what_it_needs_the_kind_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['urllib3'] = None\n"
        "from dicom_ai_node.config.peers import DicomwebPeer, FolderPeer\n"
        "from dicom_ai_node.errors import ConfigError\n"
        "from dicom_ai_node.peers.open import open_peer\n"
        "open_peer(FolderPeer(kind='folder', path='results'), None)\n"
        "try: open_peer(DicomwebPeer(kind='dicomweb', url='http://127.0.0.1/'), None)\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "pip install 'dicom-ai-node[dicomweb]'" in done.stdout


def test_no_proxy_of_the_environment_sees_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    path = an_object(tmp_path / "sr.dcm", ComprehensiveSRStorage, SR)
    with DicomwebServer().running() as server:
        assert states(store(server, Offer(paths=[path]))) == [[STORED]]
