"""One DICOMweb service: its sessions, and what is kept between them."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import urllib3

from dicom_ai_node.config.peers import DicomwebPeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.dicomweb.answer import judge, quiet_s, whole
from dicom_ai_node.peers.dicomweb.connection import Connections, Timeouts
from dicom_ai_node.peers.dicomweb.token import Token

JSON = "application/dicom+json"
_MOST_BYTES = 16 << 20  # of an answer in JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent; `chunks` gives it anew, for it may have to be sent again."""

    content_type: str
    length: int
    chunks: Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Its status is one that speaks of what was asked: the others are raised."""

    status: int
    content: bytes


class Service:
    """The token, and how long the peer wants to be left alone; `clock` is monotonic."""

    def __init__(
        self, settings: DicomwebPeer, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self.name = settings.url
        self._clock = clock
        self._quiet_until = float("-inf")
        self._timeouts = Timeouts(connect_s=settings.connect_timeout_s, answer_s=settings.timeout_s)
        self._token = None
        if settings.oauth2 is not None:
            self._token = Token(settings.oauth2, settings.tls, self._timeouts, clock=clock)

    @contextmanager
    def session(self) -> Iterator["Session"]:
        """With the certificates as they are now. Raises PeerUnreachable."""
        left_s = self._quiet_until - self._clock()
        if left_s > 0:
            raise PeerUnreachable(f"{self.name} asks to be left alone for {left_s:.0f} s more")
        connections = Connections(self.settings.url, self.settings.tls, self._timeouts)
        try:
            yield Session(self, connections, self._token)
        finally:
            connections.close()

    def leave_alone(self, seconds: float) -> None:
        self._quiet_until = max(self._quiet_until, self._clock() + seconds)


class Session:
    """Requests on one connection, as long as the peer keeps it open."""

    def __init__(self, service: Service, connections: Connections, token: Token | None) -> None:
        self.connections = connections
        self.timeout_s = service.settings.timeout_s
        self._service = service
        self._token = token
        self._root = urlsplit(service.settings.url).path

    def ask(
        self, method: str, path: str, *, accept: str = JSON, body: Body | None = None
    ) -> Answer:
        """Raises PeerUnreachable: AnswerMissing where it may have been heard, PeerRefusesUs."""
        with self.opened(method, path, accept=accept, body=body) as response:
            content = whole(
                self.connections, response, within_s=self.timeout_s, most_bytes=_MOST_BYTES
            )
            return Answer(status=response.status, content=content)

    @contextmanager
    def opened(
        self, method: str, path: str, *, accept: str, body: Body | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """An answer whose body is still to come; `path` begins below the peer's url."""
        response = self._request(method, path, accept, body)
        try:
            if response.status == 401 and self._token is not None:
                response.close()
                self._token.forget()  # it may have been revoked: a new one is tried, once
                response = self._request(method, path, accept, body)
            pause_s = (
                quiet_s(response.headers.get("Retry-After"), datetime.now(UTC))
                if response.status in (429, 503)
                else 0
            )
            self._service.leave_alone(pause_s)
            judge(self._service.name, response.status, pause_s=pause_s)
            yield response
        finally:
            response.close()

    def _request(
        self, method: str, path: str, accept: str, body: Body | None
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, **self._authorization()}
        if body is None:
            return self.connections.request(method, self._root + path, headers=headers)
        headers |= {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        return self.connections.request(
            method, self._root + path, headers=headers, body=body.chunks()
        )

    def _authorization(self) -> Mapping[str, str]:
        return {} if self._token is None else {"Authorization": f"Bearer {self._token.value()}"}
