"""Access tokens by client credentials (RFC 6749 4.4): fetched, kept, and never in a log."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote_plus, urlencode, urlsplit

from dicom_ai_node.config.peers import OAuth2Settings, PeerTlsSettings
from dicom_ai_node.errors import ConfigError, PeerRefusesUs, PeerUnreachable
from dicom_ai_node.peers.dicomweb.answer import judge, whole
from dicom_ai_node.peers.dicomweb.connection import AnswerMissing, Connections, Timeouts
from dicom_ai_node.secret import read_secret_text

_MOST_BYTES = 65_536
_UNSAID_S = 60.0  # how long a token is good of which nobody says it
_EARLY_S = 60.0  # before it expires, or a tenth of its life
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 2.1: nothing that could end a header
_ERROR = re.compile(r"[a-z_]{1,40}")  # RFC 6749 5.2: invalid_client and the like


class Token:
    """Of one peer; `clock` is monotonic."""

    def __init__(
        self,
        settings: OAuth2Settings,
        tls: PeerTlsSettings | None,
        timeouts: Timeouts,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tls = settings.tls or PeerTlsSettings(ca=tls.ca if tls is not None else None)
        self._timeouts = timeouts
        self._clock = clock
        self._value: str | None = None
        self._good_until = 0.0

    def value(self) -> str:
        """Raises PeerUnreachable, PeerRefusesUs where the credentials are not taken."""
        if self._value is None or self._clock() >= self._good_until:
            asked_at = self._clock()
            self._value, life_s = self._fetch()
            self._good_until = asked_at + life_s - min(_EARLY_S, life_s / 10)
        return self._value

    def forget(self) -> None:
        """The peer does not take it, whatever was said of its life."""
        self._value = None

    def _fetch(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        if self._settings.scope is not None:
            form["scope"] = self._settings.scope
        headers = {
            "Authorization": f"Basic {self._credentials()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        url = self._settings.token_url
        with closing(Connections(url, self._tls, self._timeouts)) as connections:
            try:
                response = connections.request(
                    "POST",
                    urlsplit(url).path or "/",
                    headers=headers,
                    body=urlencode(form).encode(),
                )
                content = whole(
                    connections, response, within_s=self._timeouts.answer_s, most_bytes=_MOST_BYTES
                )
                return _read(url, response.status, content)
            except AnswerMissing as error:  # no object was sent that could be the reason
                raise PeerUnreachable(str(error)) from None

    def _credentials(self) -> str:
        """RFC 6749 2.3.1. The secret is read each time, so that a new one needs no restart."""
        try:
            secret = read_secret_text(
                "oauth2.client_secret_file", self._settings.client_secret_file
            )
        except (ConfigError, OSError) as error:
            raise PeerRefusesUs(str(error)) from None
        both = f"{quote_plus(self._settings.client_id)}:{quote_plus(secret.strip())}"
        return b64encode(both.encode()).decode()


def _read(url: str, status: int, content: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    said = answer if isinstance(answer, dict) else {}
    if status in (400, 401):
        why = str(said.get("error", ""))
        why = why if _ERROR.fullmatch(why) else f"HTTP {status}"
        raise PeerRefusesUs(
            f"{url} gives no token ({why}): check oauth2.client_id, scope and the secret"
        )
    judge(url, status)
    token, kind = said.get("access_token"), str(said.get("token_type", "")).lower()
    if status != 200 or kind != "bearer" or not _BEARER.fullmatch(str(token)):
        raise PeerUnreachable(f"{url} gives no bearer token (HTTP {status}): check token_url")
    life = said.get("expires_in")
    try:
        return str(token), max(float(life), 0.0) if life is not None else _UNSAID_S
    except (TypeError, ValueError):
        return str(token), _UNSAID_S
