"""An answer of HTTP (RFC 9110): read within limits, and what its status means for every request."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import urllib3
from urllib3.exceptions import HTTPError

from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.peers.dicomweb.connection import AnswerMissing, Connections

SLOWEST_BYTES_PER_S = 16_384  # slower than that is no transfer
_PIECE = 65_536
_LONGEST_QUIET_S = 3600.0
_REDIRECTS = range(300, 400)
_FULL = 507
# 408, 429 and 5xx but 500, 501 and 505: the service as a whole is not well
_LATER = frozenset({408, 425, 429, 502, 503, 504, _FULL})
# of those: so answers a gateway, too, whose service died of this one request
_UNANSWERED = frozenset({408, 502, 503, 504})


def judge(name: str, status: int, *, pause_s: float = 0.0) -> None:
    """Raises where it says nothing of what was sent or asked for, but of the peer or of us;
    AnswerMissing where it may be either, for it asks for no pause."""
    if status in _REDIRECTS:
        raise PeerRefusesUs(
            f"{name} sends us elsewhere (HTTP {status}): give the address that it redirects to"
        )
    if status == 401:
        raise PeerRefusesUs(
            f"{name} does not know us (HTTP 401): check oauth2, or the certificate under tls"
        )
    if status == 403:
        raise PeerRefusesUs(f"{name} does not allow it (HTTP 403): give this node the right there")
    if status == 407:
        raise PeerRefusesUs(f"{name} is behind a proxy (HTTP 407): let this node connect directly")
    if status in _LATER:
        why = "has no space left" if status == _FULL else "cannot answer now"
        may_be_either = status in _UNANSWERED and not pause_s
        kind = AnswerMissing if may_be_either else PeerUnreachable
        raise kind(f"{name} {why} (HTTP {status})")


def quiet_s(header: str | None, now: datetime) -> float:
    """How long a Retry-After wants nothing to be asked; 0 without one (RFC 9110 10.2.3)."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_QUIET_S)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), _LONGEST_QUIET_S)


def pieces(
    connections: Connections, response: urllib3.BaseHTTPResponse, *, within_s: float
) -> Iterator[bytes]:
    """The body as it comes; a peer that drips is no peer. Raises AnswerMissing."""
    began, size = time.monotonic(), 0
    try:
        while piece := response.read1(_PIECE):
            yield piece
            size += len(piece)
            if time.monotonic() - began > within_s + size / SLOWEST_BYTES_PER_S:
                raise connections.trouble(TimeoutError())
    except (HTTPError, OSError) as error:
        raise connections.trouble(error) from None


def whole(
    connections: Connections,
    response: urllib3.BaseHTTPResponse,
    *,
    within_s: float,
    most_bytes: int,
) -> bytes:
    content = bytearray()
    for piece in pieces(connections, response, within_s=within_s):
        content += piece
        if len(content) > most_bytes:
            raise PeerUnreachable(f"{connections.name} answers with more than {most_bytes} bytes")
    return bytes(content)
