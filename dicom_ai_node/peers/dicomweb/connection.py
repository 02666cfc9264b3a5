"""Connections to one address, with TLS as the peer's settings have it: no proxy, no redirect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError

from dicom_ai_node.config.peers import PeerTlsSettings, is_plain
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.tls import PeerContext, current_context, no_tls
from dicom_ai_node.uids import IMPLEMENTATION_VERSION_NAME


class AnswerMissing(PeerUnreachable):
    """The peer was there; whether it has done what it was asked, nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    connect_s: float
    answer_s: float  # for each piece, going or coming


class _Patient:
    """urllib3 sends under the timeout for connecting, which is too short for a busy archive."""

    answer_s = 60.0
    sock: Any
    timeout: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.timeout = self.answer_s
        self.sock.settimeout(self.answer_s)


class _Plain(_Patient, HTTPConnection):
    pass


class _Protected(_Patient, HTTPSConnection):
    pass


class Connections:
    """Reused while they are open; `close()` ends them. Paths start at the root of the host."""

    def __init__(self, url: str, tls: PeerTlsSettings | None, timeouts: Timeouts) -> None:
        """Files of certificates are read now; raises PeerRefusesUs where they are not usable."""
        self.name = url
        self._tls = tls or PeerTlsSettings()
        self._context: PeerContext | None = None
        parts = urlsplit(url)
        options: dict[str, Any] = {
            "host": parts.hostname or "",
            "port": parts.port,
            "timeout": urllib3.Timeout(connect=timeouts.connect_s, read=timeouts.answer_s),
            "retries": False,
            "maxsize": 1,
        }
        if is_plain(url):
            self._pool = urllib3.HTTPConnectionPool(**options)
            connection_class: type[_Patient] = _Plain
        else:
            self._context = current_context(url, self._tls)
            self._pool = urllib3.HTTPSConnectionPool(
                **options, ssl_context=self._context, server_hostname=self._tls.server_name
            )
            connection_class = _Protected
        self._pool.ConnectionCls = type(
            connection_class.__name__, (connection_class,), {"answer_s": timeouts.answer_s}
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Its body is still to be read. Raises PeerUnreachable, AnswerMissing once connected."""
        try:
            return self._pool.urlopen(
                method,
                path,
                body=body,
                headers={"User-Agent": IMPLEMENTATION_VERSION_NAME, **headers},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError) as error:
            raise self.trouble(error) from None

    def trouble(self, error: Exception) -> PeerUnreachable:
        """What it means; its text may hold what was asked for, and is left out."""
        tls_error = self._context.trouble if self._context is not None else None
        if tls_error is not None:
            return no_tls(self.name, tls_error, self._tls)
        if isinstance(error, urllib3.exceptions.NameResolutionError):
            return PeerUnreachable(f"{self.name} has a host name that nobody knows: check url")
        if isinstance(error, urllib3.exceptions.NewConnectionError | LocationParseError):
            return PeerUnreachable(f"{self.name} does not answer")
        if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
            return PeerUnreachable(f"{self.name} does not answer in time")
        if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
            return AnswerMissing(f"{self.name} gave no answer in time")
        return AnswerMissing(f"{self.name} broke off the connection")

    def close(self) -> None:
        self._pool.close()
