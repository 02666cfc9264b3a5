"""What every answer says to browsers, and by https."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from tests.receive.certificates import Authority
from tests.web.site import Served, served
from tests.web.sockets import all_of, answer_to, connected


@pytest.mark.parametrize(
    "path", ["/nowhere", "/static/../keys.py", "/static/%2e%2e/keys.py", "//x"]
)
def test_there_is_nothing_else(page: Served, path: str) -> None:
    assert page.visitor(Role.CONFIGURE).get(path).status == 404


@pytest.mark.parametrize("path", ["/sign-in", "/static/style.css", "/nowhere", "/api/jobs"])
def test_every_answer_tells_browsers_to_be_careful(page: Served, path: str) -> None:
    headers = page.anybody().get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Server" not in headers


def test_by_https_the_session_is_for_https_alone(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path / "ca")
    shown = authority.issue("web")
    tls = {"certificate": shown.certificate, "key": shown.key}
    web = config.web.model_validate({"port": 0, "tls": tls})
    with served(config.model_copy(update={"web": web}), spool, database) as page:
        context = ssl.create_default_context(cafile=authority.own.certificate)
        context.check_hostname = False
        form = f"token={page.token(Role.LOOK)}"
        request = (
            f"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://127.0.0.1\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
            f"Connection: close\r\n\r\n{form}"
        )
        with connected(page) as plain, context.wrap_socket(plain) as secured:
            secured.sendall(request.encode())
            answer = all_of(secured).decode()
        assert answer.startswith("HTTP/1.1 303")
        assert "Secure" in answer
        assert not answer_to(page, request.encode()).startswith(b"HTTP/1.1 303")


def test_the_page_ends_with_its_role(config: Config, spool: Spool, database: Database) -> None:
    with served(config, spool, database) as page:
        port = page.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert not [each for each in threading.enumerate() if each.name == "web page"]
