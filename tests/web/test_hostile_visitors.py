"""What comes to the page's port and is no visit, and from where it can be reached (H9)."""

import socket
import ssl
import time
from pathlib import Path

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from dicom_ai_node.web import connection, guard, peers
from tests.database.made import again
from tests.receive.certificates import Authority
from tests.web.site import Served, served
from tests.web.sockets import all_of, answer_to, connected

pytestmark = pytest.mark.fault("H9")


def is_well(page: Served) -> bool:
    return page.visitor(Role.LOOK).get("/").status == 200


def test_only_this_machine_reaches_the_page(page: Served) -> None:
    """It listens on 127.0.0.1, and no other address of the machine answers."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", page.port), timeout=5)
    assert is_well(page)


@pytest.mark.parametrize(
    ("web", "is_right"),
    [
        ("{host: 0.0.0.0}", False),
        ("{host: 10.0.0.5}", False),
        ("{host: 0.0.0.0, allow_plaintext: true}", True),
        ("{host: 0.0.0.0, tls: {certificate: a.pem, key: b.pem}}", True),
        ("{host: 0.0.0.0, port: null}", True),
        ("{host: 127.0.0.1}", True),
        ("{proxy: {from: [127.0.0.1]}}", False),
    ],
)
def test_beyond_this_machine_it_wants_tls_or_a_word(
    tmp_path: Path, web: str, is_right: bool
) -> None:
    key = tmp_path / "b.pem"
    key.write_text("a key\n")
    key.chmod(0o600)
    web = web.replace("b.pem", str(key))
    (tmp_path / "node.yaml").write_text(f"node: {{ae_title: AI_NODE}}\nweb: {web}\n")
    if is_right:
        assert load(tmp_path, {}).web
    else:
        with pytest.raises(ConfigError, match=r"node\.yaml:2: web\."):
            load(tmp_path, {})


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""])
def test_a_name_that_leads_here_is_not_believed(page: Served, host: str) -> None:
    """DNS rebinding: a browser would send its cookies of that name, and show it our answers."""
    answer = page.anybody().get("/sign-in", Host=host)
    assert (answer.status, answer.headers["Connection"]) == (421, "close")
    assert is_well(page)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "[::1]:8080", "ai.hospital.org"])
@pytest.mark.parametrize("config", [{"web": {"names": ["ai.hospital.org"]}}], indirect=True)
def test_names_that_are_ours(page: Served, host: str) -> None:
    assert page.anybody().get("/sign-in", Host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_form_of_another_site_does_nothing(
    page: Served, database: Database, quarantined: Job, headers: dict[str, str]
) -> None:
    visitor = page.visitor(Role.ACT)
    path = f"/jobs/{quarantined.id}/retry"
    assert visitor.post(path, headers=headers).status == 403
    assert visitor.ask("POST", path).status == 403  # a browser always says one of the two
    with database.read() as connection:
        assert again(connection, quarantined).state is JobState.QUARANTINED
    assert visitor.post(path).status == 303


def test_headers_of_an_answer_cannot_be_injected(page: Served, quarantined: Job) -> None:
    visitor = page.visitor(Role.ACT)
    crooked = "x\r\nSet-Cookie: evil=1\r\n\r\n<script>"
    answer = visitor.post(f"/jobs/{quarantined.id}/retry", state=crooked)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "evil" not in visitor.cookies
    answer = visitor.get("/?state=%0d%0aSet-Cookie:%20evil=1")
    assert (answer.status, "evil" in visitor.cookies) == (200, False)


@pytest.mark.parametrize(
    "lines",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\0b\r\n\r\n",
        (
            b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
        ),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(page: Served, lines: bytes) -> None:
    status = int(answer_to(page, lines).split()[1])
    assert 400 <= status < 500
    assert is_well(page)


def test_huge_headers_are_refused(page: Served) -> None:
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * (1 << 20)
    assert b" 400 " in answer_to(page, head) or not answer_to(page, head)
    assert is_well(page)


def test_a_huge_body_is_refused_before_it_is_read(page: Served) -> None:
    head = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000000000\r\n\r\n"
    assert b" 413 " in answer_to(page, head)
    assert is_well(page)


def test_a_huge_body_in_pieces_is_refused(page: Served) -> None:
    head = (
        b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        b"Origin: http://127.0.0.1\r\n\r\n"
    )
    piece = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    assert b" 413 " in answer_to(page, head + piece * 3)
    assert is_well(page)


def test_a_request_that_drips_is_cut_off(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.5)
    begun = time.monotonic()
    with connected(page) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert all_of(slow) == b""
    assert time.monotonic() - begun < 10
    monkeypatch.undo()
    assert is_well(page)


def test_a_body_that_does_not_come_is_not_waited_for(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.3)
    head = (
        b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"
        b"Content-Length: 50\r\n\r\ntok"
    )
    assert b" 408 " in answer_to(page, head)
    assert is_well(page)


def test_no_more_connections_than_there_are_places(page: Served) -> None:
    """Those beyond are closed, and when some leave, others come in."""
    held = [
        socket.create_connection(("127.0.0.1", page.port), timeout=20)
        for _ in range(connection.MOST_CONNECTIONS)
    ]
    try:
        for each in held:  # an answer, so that it is known to be counted
            each.sendall(b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert each.recv(12) == b"HTTP/1.1 200"
        assert answer_to(page, b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == b""
    finally:
        for each in held:
            each.close()
    assert is_well(page)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_who_never_begins_tls_takes_a_place_for_a_few_seconds_only(
    config: Config,
    spool: Spool,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each would cost the process a descriptor for as long as it likes."""
    monkeypatch.setattr(connection, "HANDSHAKE_S", 1.0)
    shown = Authority.make(tmp_path / "ca").issue("web")
    tls = {"certificate": shown.certificate, "key": shown.key}
    web = config.web.model_validate({"port": 0, "tls": tls})
    with served(config.model_copy(update={"web": web}), spool, database) as page:
        before = descriptors()
        many = 3 * connection.MOST_CONNECTIONS
        address = ("127.0.0.1", page.port)
        silent = [socket.create_connection(address, timeout=20) for _ in range(many)]
        assert all_of(silent[-1]) == b""  # at once: there is no place
        assert descriptors() - before < many + connection.MOST_CONNECTIONS + 8
        assert {all_of(each) for each in silent} == {b""}  # and the others in time
        for each in silent:
            each.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with connected(page) as plain, context.wrap_socket(plain) as secured:
            secured.sendall(
                b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            assert all_of(secured).startswith(b"HTTP/1.1 200")


def test_an_error_of_ours_shows_nothing_of_the_inside(page: Served, database: Database) -> None:
    visitor = page.visitor(Role.ACT)
    with database.write() as changed:
        changed.exec_driver_sql("UPDATE tally SET number = 'x'")
        changed.exec_driver_sql("ALTER TABLE verdict RENAME TO aside")
    for path in ("/", "/studies/1", "/api/status"):
        answer = visitor.get(path)
        assert "Traceback" not in answer.text
        assert "sqlite" not in answer.text.lower()
        assert "Content-Security-Policy" in answer.headers


def test_what_nobody_foresaw_is_told_as_carefully(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("of the inside")

    monkeypatch.setattr(peers, "read_peers", broken)
    answer = page.visitor(Role.LOOK).get("/peers")
    assert (answer.status, "of the inside" in answer.text) == (500, False)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
