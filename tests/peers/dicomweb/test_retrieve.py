"""WADO-RS: a study as files, and what is no multipart body."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.dicomweb.multipart import MultipartError, MultipartReader
from dicom_ai_node.peers.dicomweb.retrieve import RetrieveLimits, retrieve
from tests.peers.dicomweb.server import DicomwebServer, Reply, Request

BOUNDARY = "===b1"
TYPE = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'


def multipart(*contents: bytes, head: bytes = b"Content-Type: application/dicom\r\n") -> bytes:
    parts = [b"--%s\r\n%s\r\n%s\r\n" % (BOUNDARY.encode(), head, each) for each in contents]
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode()


def reply(body: bytes, content_type: str = TYPE, status: int = 200) -> Reply:
    return Reply(status=status, body=body, content_type=content_type)


def test_a_study_comes_as_files(tmp_path: Path) -> None:
    contents = [b"one\r\n--===b", b"", b"\r\n" * 70_000, b"--\r\n\r\n"]
    with DicomwebServer(answer=lambda _: reply(multipart(*contents))).running() as server:
        found = retrieve(server.settings(), "1.2.3", tmp_path / "study")
    assert [path.read_bytes() for path in found] == contents
    assert sorted((tmp_path / "study").iterdir()) == found
    (request,) = server.requests
    assert request.path == "/dicom-web/studies/1.2.3"
    assert request.headers["accept"] == (
        'multipart/related; type="application/dicom"; transfer-syntax=*'
    )


def test_a_series_is_asked_for_by_its_uid(tmp_path: Path) -> None:
    with DicomwebServer(answer=lambda _: reply(multipart(b"x"))).running() as server:
        retrieve(server.settings(), "1.2.3", tmp_path, series_instance_uid="1.2.3.4")
    assert server.requests[0].path == "/dicom-web/studies/1.2.3/series/1.2.3.4"


def test_a_study_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    with DicomwebServer(answer=lambda _: Reply(status=404)).running() as server:
        assert retrieve(server.settings(), "1.2.3", tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(multipart(b"whole", b"half")[:-30]), "ends too early"),
        (reply(b""), "ends too early"),
        (reply(b"DICM", "application/dicom"), "is not multipart"),
        (reply(b"", "multipart/related"), "is not multipart"),
        (reply(multipart(b""), f"multipart/related; boundary={'b' * 300}"), "no proper boundary"),
        (reply(multipart(b"x", head=b"A: " + b"a" * 70_000 + b"\r\n")), "header"),
        (reply(multipart(b"x", head=b"A: b\r\n" * 9000)), "header"),
        (reply(multipart(b"a", b"b", b"c", b"d")), "more than 3 instances"),
        (reply(multipart(bytes(200_000))), "larger than it may be"),
        (reply(multipart(bytes(90_000), bytes(90_000))), "larger than it may be"),
        (Reply(status=400), "HTTP 400"),
        (Reply(status=0), "broke off the connection"),
    ],
)
def test_an_answer_that_is_wrong_or_too_much_is_left(
    tmp_path: Path, answer: Reply, expected: str
) -> None:
    """And nothing half written stays."""
    limits = RetrieveLimits(instances=3, object_bytes=100_000, total_bytes=150_000)
    with (
        DicomwebServer(answer=lambda _: answer).running() as server,
        pytest.raises(PeerUnreachable, match=expected),
    ):
        retrieve(server.settings(), "1.2.3", tmp_path, limits=limits)
    assert not list(tmp_path.glob("*.part"))


def test_no_more_is_written_than_there_is_room_for(tmp_path: Path) -> None:
    def is_low() -> bool:
        return sum(path.stat().st_size for path in tmp_path.iterdir()) > 1_000_000

    reply_ = reply(multipart(b"whole", bytes(8_000_000)))
    with (
        DicomwebServer(answer=lambda _: reply_).running() as server,
        pytest.raises(PeerUnreachable, match="there is no room for it now"),
    ):
        retrieve(server.settings(), "1.2.3", tmp_path, is_low=is_low)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


def test_an_answer_that_breaks_off_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    """Whatever length it had announced: its last delimiter must come."""
    body = multipart(b"one", b"two")

    def short(_request: Request) -> Reply:
        return Reply(body=body, content_type=TYPE, headers={"Content-Length": str(len(body) + 9)})

    server = DicomwebServer(answer=short)
    with server.running():
        settings = server.settings(timeout_s=0.3)
        assert len(retrieve(settings, "1.2.3", tmp_path / "1")) == 2
        body = body[:-20]
        with pytest.raises(PeerUnreachable):
            retrieve(settings, "1.2.3", tmp_path / "2")


@pytest.mark.parametrize("seed", range(20))
def test_wherever_the_pieces_end_the_parts_are_the_same(seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - not for secrets
    parts = [dice.randbytes(dice.randrange(200)) + b"\r\n--===b" for _ in range(4)]
    body = b"a preamble\r\n" + multipart(*parts) + b"an epilogue"

    def pieces() -> Iterator[bytes]:
        rest = body
        while rest:
            size = dice.randrange(1, 30)
            yield rest[:size]
            rest = rest[size:]

    reader = MultipartReader(TYPE, pieces())
    assert [b"".join(content) for _, content in reader.parts()] == parts


def test_a_part_need_not_be_read_to_come_to_the_next() -> None:
    reader = MultipartReader(TYPE, iter([multipart(b"one", b"two")]))
    assert [headers for headers, _ in reader.parts()] == [
        {"content-type": "application/dicom"},
        {"content-type": "application/dicom"},
    ]


def test_what_is_no_multipart_at_all_is_said() -> None:
    with pytest.raises(MultipartError, match="not multipart"):
        MultipartReader("text/html", iter([]))
