"""Who we are to a DICOMweb service, and who it is to us: TLS and OAuth2."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from dicom_ai_node.config.peers import DicomwebPeer
from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.peers.dicomweb.query import DicomwebQuery
from dicom_ai_node.peers.dicomweb.service import Service
from dicom_ai_node.peers.dicomweb.stow import DicomwebStore
from dicom_ai_node.peers.peer import Offer
from tests.peers.dicomweb.server import DicomwebServer, Reply, Request, takes_all
from tests.peers.pacs import objects
from tests.peers.test_tls import Hospital, hospital

__all__ = ["hospital"]  # a fixture
SECRET = "correct horse & battery=staple"  # noqa: S105 - of this test


def echo(server: DicomwebServer, **changes: Any) -> None:
    DicomwebQuery(server.settings(**changes)).echo()


def test_both_sides_show_certificates(hospital: Hospital, tmp_path: Path) -> None:
    with DicomwebServer(context=hospital.server_context()).running() as server:
        peer = DicomwebStore(server.settings(tls=hospital.tls()))
        (outcomes,) = peer.store([Offer(paths=objects(tmp_path))])
    assert [each.state for each in outcomes] == ["stored", "stored"]


@pytest.mark.parametrize(
    ("shown", "changes", "expected"),
    [
        ("stranger", {}, "shows a certificate that nobody in tls.ca has signed"),
        ("expired", {}, "shows a certificate that has expired"),
        ("pacs", {"server_name": None}, "shows a certificate for another host"),
        ("pacs", {"certificate": None, "key": None}, "wants a certificate of this node"),
        ("pacs", {"ca": None}, r"nobody in the system's store \(set tls\.ca\)"),
    ],
)
def test_it_is_said_which_side_distrusts_which(
    hospital: Hospital, shown: str, changes: dict[str, Any], expected: str
) -> None:
    context = hospital.server_context(getattr(hospital, shown))
    with (
        DicomwebServer(context=context).running() as server,
        pytest.raises(PeerUnreachable, match=expected),
    ):
        echo(server, tls=hospital.tls(**changes))
    assert server.requests == []


def test_a_service_without_tls_is_never_spoken_to_in_the_clear(hospital: Hospital) -> None:
    with DicomwebServer().running() as server:
        url = f"https://127.0.0.1:{server.port}/dicom-web"
        with pytest.raises(PeerUnreachable, match="speaks no TLS on this port"):
            echo(server, url=url, tls=hospital.tls())
    assert server.requests == []


def test_a_silence_after_the_handshake_is_no_matter_of_tls(
    hospital: Hospital, tmp_path: Path
) -> None:
    silent = DicomwebServer(context=hospital.server_context(), answer=lambda _: Reply(status=None))
    with silent.running():
        peer = DicomwebStore(silent.settings(tls=hospital.tls(), timeout_s=0.3))
        ((outcome,),) = peer.store([Offer(paths=objects(tmp_path)[:1])])
    assert outcome.state == "pending"
    assert outcome.status.endswith("gave no answer in time")


@dataclass
class Giver:
    """Gives tokens by client credentials, and a service that takes the last one."""

    life_s: float | None = 3600
    given: list[str] = field(default_factory=list)
    token_reply: Callable[[Request], Reply] | None = None

    def __call__(self, request: Request) -> Reply:
        if request.path == "/token":
            return self.token_reply(request) if self.token_reply else self._give(request)
        if request.headers.get("authorization") != f"Bearer {self.given[-1]}":
            return Reply(status=401)
        return takes_all(request) if request.method == "POST" else Reply(body=b"[]")

    def _give(self, request: Request) -> Reply:
        scheme, _, basic = request.headers["authorization"].partition(" ")
        assert scheme == "Basic"
        assert base64.b64decode(basic) == b"node+7:correct+horse+%26+battery%3Dstaple"
        assert parse_qs(request.body.decode()) == {
            "grant_type": ["client_credentials"],
            "scope": ["store read"],
        }
        self.given.append(f"token-{len(self.given)}")
        answer = {"access_token": self.given[-1], "token_type": "Bearer"}
        if self.life_s is not None:
            answer["expires_in"] = self.life_s  # type: ignore[assignment]
        return Reply(body=json.dumps(answer).encode(), content_type="application/json")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


@dataclass
class Site:
    giver: Giver
    server: DicomwebServer
    secret: Path
    now: float = 1000.0

    def settings(self) -> DicomwebPeer:
        oauth2 = {
            "token_url": f"http://127.0.0.1:{self.server.port}/token",
            "client_id": "node 7",
            "client_secret_file": self.secret,
            "scope": "store read",
        }
        return self.server.settings(oauth2=oauth2)

    def query(self) -> DicomwebQuery:
        settings = self.settings()
        return DicomwebQuery(settings, service=Service(settings, clock=lambda: self.now))


@pytest.fixture
def site(secret: Path) -> Iterator[Site]:
    giver = Giver()
    with DicomwebServer(answer=giver).running() as server:
        yield Site(giver, server, secret)


def test_a_token_is_fetched_once_until_shortly_before_it_expires(site: Site) -> None:
    query = site.query()
    query.echo()
    site.now += 3500
    query.echo()
    assert site.giver.given == ["token-0"]
    site.now += 60
    query.echo()
    assert site.giver.given == ["token-0", "token-1"]


def test_a_token_of_which_no_life_is_told_is_not_kept_for_long(site: Site) -> None:
    site.giver.life_s = None
    query = site.query()
    query.echo()
    site.now += 61
    query.echo()
    assert len(site.giver.given) == 2


def test_a_token_that_was_revoked_is_fetched_anew_and_what_was_sent_is_sent_again(
    site: Site, tmp_path: Path
) -> None:
    peer = DicomwebStore(site.settings())
    paths = objects(tmp_path / "outbox")
    list(peer.store([Offer(paths=paths)]))
    site.giver.given.append("another")  # what the peer took until now, it takes no more
    (outcomes,) = peer.store([Offer(paths=paths)])
    assert [each.state for each in outcomes] == ["stored", "stored"]
    sent = [each.parts for each in site.server.requests if each.path != "/token"]
    assert sent == [[path.read_bytes() for path in paths]] * 3


def test_a_service_that_takes_no_token_is_for_a_person_after_one_new_token(site: Site) -> None:
    query = site.query()
    query.echo()
    site.server.answer = lambda request: (
        site.giver(request) if request.path == "/token" else Reply(status=401)
    )
    with pytest.raises(PeerRefusesUs, match="check oauth2"):
        query.echo()
    assert len(site.giver.given) == 2


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(status=401, body=b'{"error": "invalid_client"}'), r"no token \(invalid_client\)"),
        (Reply(status=400, body=b'{"error": "Dr. Who <x>"}'), r"no token \(HTTP 400\)"),
        (Reply(status=503), "cannot answer now"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), "sends us elsewhere"),
        (Reply(body=b"<html>"), "no bearer token"),
        (Reply(body=b'{"access_token": "a\\r\\nX: y", "token_type": "bearer"}'), "no bearer token"),
        (Reply(body=b'{"access_token": "a", "token_type": "mac"}'), "no bearer token"),
        (Reply(body=bytes(100_000)), "more than 65536 bytes"),
    ],
)
def test_where_no_token_is_given_the_service_is_not_asked(
    site: Site, reply: Reply, expected: str
) -> None:
    site.giver.token_reply = lambda _: reply
    with pytest.raises(PeerUnreachable, match=expected):
        site.query().echo()
    assert [request.path for request in site.server.requests] == ["/token"]
    site.giver.token_reply = None
    site.query().echo()


def test_a_secret_that_others_may_read_is_not_used(site: Site) -> None:
    site.secret.chmod(0o644)
    with pytest.raises(PeerUnreachable, match=r"oauth2\.client_secret_file: .* run `chmod 600"):
        site.query().echo()
    assert site.server.requests == []


def test_neither_secret_nor_token_is_ever_said(
    site: Site, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    peer = DicomwebStore(site.settings())
    list(peer.store([Offer(paths=objects(tmp_path / "outbox"))]))
    site.server.answer = lambda request: Reply(status=401)
    with pytest.raises(PeerUnreachable) as told:
        site.query().echo()
    basic = base64.b64encode(b"node+7:correct+horse+%26+battery%3Dstaple").decode()
    for word in ("token-0", "staple", basic):
        assert word not in caplog.text
        assert word not in str(told.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"url": "http://pacs.example/dicom-web"}, "results would cross the network unprotected"),
        ({"url": "https://user:pass@pacs.example/"}, "no name and password in an address"),
        ({"url": "https://pacs.example/?a=b"}, r"leave out what follows \?"),
        ({"url": "ftp://pacs.example/"}, "should match pattern"),
        ({"url": "https:///dicom-web"}, "give an address such as"),
        ({"url": "http://127.0.0.1/", "tls": {}}, "tls is for https://"),
        (
            {
                "url": "http://pacs.example/",
                "allow_plaintext": True,
                "oauth2": {
                    "token_url": "https://id.example/t",
                    "client_id": "node",
                    "client_secret_file": "secret",
                },
            },
            "the token would cross the network unprotected",
        ),
        (
            {
                "url": "https://pacs.example/",
                "oauth2": {
                    "token_url": "http://id.example/t",
                    "client_id": "node",
                    "client_secret_file": "secret",
                },
            },
            "the secret would cross the network unprotected",
        ),
    ],
)
def test_an_address_that_gives_something_away_is_a_mistake(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValidationError, match=expected):
        DicomwebPeer.model_validate({"kind": "dicomweb", **changes})


def test_plain_http_is_for_this_machine_or_for_who_allows_it() -> None:
    for url in ("http://localhost:8042/dicom-web/", "http://[::1]:8042/dicom-web"):
        assert DicomwebPeer(kind="dicomweb", url=url).url.endswith("/dicom-web")
    DicomwebPeer(kind="dicomweb", url="http://pacs.example/", allow_plaintext=True)
