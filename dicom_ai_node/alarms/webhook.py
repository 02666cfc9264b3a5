"""A notification as JSON by POST, signed where both sides know a secret."""

import hashlib
import hmac
import ssl
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

from pydantic import ValidationError

from dicom_ai_node import __version__
from dicom_ai_node.alarms.channel import ANSWER_S, MessageRefused, NotTold, verifying
from dicom_ai_node.alarms.message import Message
from dicom_ai_node.config.alarms import WebhookSettings
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.secret import read_secret, read_secret_text

SIGNATURE = "X-Signature-256"
_LATER = frozenset({408, 425, 429})  # of what is said to be the sender's fault


class Webhook:
    """Nothing but HTTP, to the host that is named: it follows nobody elsewhere."""

    def __init__(self, settings: WebhookSettings, *, key: str) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._settings = settings
        file = settings.secret_file
        self._secret = None if file is None else read_secret(f"{key}.secret_file", file)
        self._opener = _opener(verifying(f"{key}.ca", settings.ca))
        self._url = _address(settings, key)
        # the path of an address may be a secret
        place = hashlib.sha256(self._url.encode()).hexdigest()[:8]
        self.name = f"webhook {(urlsplit(self._url).hostname or '')[:64]} {place}"

    def wants(self, name: str, severity: str) -> bool:
        return self._settings.wants(name, severity)

    def send(self, message: Message) -> str:
        body = message.as_json()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"dicom-ai-node/{__version__}",
        }
        if self._secret is not None:
            headers[SIGNATURE] = f"sha256={hmac.new(self._secret, body, 'sha256').hexdigest()}"
        request = Request(self._url, data=body, headers=headers)  # noqa: S310 — see Url
        try:
            with self._opener.open(request, timeout=ANSWER_S) as answer:
                return f"{answer.status} {answer.reason}"
        except HTTPError as error:
            error.close()
            said = f"it answers {error.code} {error.reason}"
            if error.code >= 500 or error.code in _LATER:
                raise NotTold(said) from None
            raise MessageRefused(said) from None
        except URLError as error:
            raise NotTold(f"it cannot be reached ({_why(error.reason)})") from None
        except (OSError, HTTPException) as error:
            raise NotTold(f"it does not answer ({_why(error)})") from None


def _address(settings: WebhookSettings, key: str) -> str:
    """Raises ConfigError, which never repeats one that stands in a file."""
    if settings.url_file is None:
        return settings.url or ""
    text = read_secret_text(f"{key}.url_file", settings.url_file)
    try:
        found = WebhookSettings.model_validate(
            settings.model_dump() | {"url": text, "url_file": None}
        )
    except ValidationError:
        raise ConfigError(
            f"{key}.url_file: what {settings.url_file} holds cannot be used: write https:// and "
            "the rest of the address on one line, or allow_plaintext: true beside it for http://"
        ) from None
    return found.url or ""


def _why(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    return getattr(error, "strerror", None) or type(error).__name__


def _opener(context: ssl.SSLContext) -> OpenerDirector:
    """Without the handlers for other schemes, for redirections, and for proxies."""
    opener = OpenerDirector()
    for handler in (
        HTTPHandler(),
        HTTPSHandler(context=context),
        HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
