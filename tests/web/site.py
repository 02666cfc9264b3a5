"""A page over a node of the test's own, served on a real socket; a browser without a window."""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from dicom_ai_node.audit.trail import Actor, Trail
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import tokens
from dicom_ai_node.database.engine import Database
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from dicom_ai_node.web.server import serving
from dicom_ai_node.web.site import Site


class Remembered(Trail):
    """What was told to the trail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acts: list[tuple[Actor, str, dict[str, object]]] = []

    def acted(self, actor: Actor, verb: str, **about: object) -> None:  # type: ignore[override]
        self.acts.append((actor, verb, about))

    def verbs(self) -> list[str]:
        return [verb for _, verb, _ in self.acts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def words(self) -> str:
        """Without markup, with single spaces."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.text).split())


@dataclass
class Visitor:
    """Keeps cookies, and follows no redirect."""

    port: int
    token: str = ""  # as a program's
    address: str = "127.0.0.1"  # it comes from there
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, *, headers: dict[str, str] | None = None, **form: str) -> Answer:
        origin = {"Origin": f"http://127.0.0.1:{self.port}"}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        every = {**origin, **kind, **(headers or {})}
        return self.ask("POST", path, body=urlencode(form).encode(), headers=every)

    def ask(
        self, method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        sent = {**self.headers, **(headers or {})}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(self.address, 0)
        )
        try:
            connection.request(method, path, body=body or None, headers=sent)
            got = connection.getresponse()
            content = got.read()
        finally:
            connection.close()
        for cookie in got.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(status=got.status, headers=got.headers, content=content)

    def sign_in(self, token: str) -> Answer:
        return self.post("/sign-in", token=token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    port: int
    site: Site
    trail: Remembered

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, role: Role, name: str = "") -> str:
        database = self.site.database
        with database.write() as connection:
            return tokens.make(connection, name or f"a {role}", role, now=database.now())

    def visitor(self, role: Role) -> Visitor:
        """Signed in, as a browser."""
        found = Visitor(self.port)
        assert found.sign_in(self.token(role)).status == 303
        return found

    def anybody(self, **what: object) -> Visitor:
        return Visitor(self.port, **what)  # type: ignore[arg-type]


@contextmanager
def served(config: Config, spool: Spool, database: Database) -> Iterator[Served]:
    trail = Remembered(spool.root / "audit")
    site = Site(config=config, spool=spool, database=database, trail=trail)
    with serving(site) as port:
        yield Served(port=port, site=site, trail=trail)
