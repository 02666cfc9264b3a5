"""Where results go, and who is asked for studies: the entries of `peers`."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.config.secret_file import SecretFile
from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import AETitle, Count, Port, Seconds

HostName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.:-]{0,251}[A-Za-z0-9_])?$")
]


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_url(url: str) -> str:
    """What is put behind it must be part of its path, and a log may hold it."""
    parts = urlsplit(url)  # raises ValueError
    if not parts.hostname or parts.port == 0:
        raise ValueError("give an address such as https://pacs.hospital/dicom-web")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no name and password in an address: use tls or oauth2")
    if parts.query or parts.fragment:
        raise ValueError("leave out what follows ? or # in the address")
    return url.rstrip("/")


def _checked_address(url: str) -> str:
    """As above, and it may have a query, to which nothing is added."""
    before, mark, query = url.partition("?")
    if "#" in query:
        raise ValueError("leave out what follows # in the address")
    return f"{_checked_url(before)}{mark}{query}" if query else _checked_url(before)


_Web = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$")]
Url = Annotated[_Web, AfterValidator(_checked_url)]
UrlWithQuery = Annotated[_Web, AfterValidator(_checked_address)]


class PeerTlsSettings(Strict):
    """TLS as the one who asks (PS3.15 B.12): whom we believe, and what we show."""

    ca: Path | None = None
    """PEM file: the CA that signs the peer's certificate; without it, those that the system
    trusts."""
    certificate: Path | None = None
    """PEM file: the certificate that this node shows; only together with `key`."""
    key: SecretFile | None = None
    """PEM file: its private key, readable by its owner alone (`chmod 600`)."""
    server_name: HostName | None = None
    """The name in the peer's certificate, where it is not the host that is connected to."""

    @model_validator(mode="after")
    def _has_both(self) -> "PeerTlsSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both, or neither")
        return self


class CommitmentSettings(Strict):
    """Storage commitment is asked for (PS3.4 J): delivered is what the peer has committed to;
    `{}` is enough: [commitment.md](commitment.md)."""

    answer_s: Seconds = 3600
    """Without a report in so many seconds, it is asked again."""


class CatchUpSettings(Strict):
    """What a peer was sent by its modalities while this node was down is asked for (C-FIND, QIDO)
    and fetched, where a route would take it; `{}` is enough: [catch-up.md](catch-up.md)."""

    hours: Annotated[float, Field(gt=0)] = 24
    """How far it is looked back, in hours."""
    every_s: Seconds = 3600
    """How often it is asked, in seconds; also once after each start."""
    wait_s: Seconds = 120
    """A study that does not grow is left to the peer for so long, in seconds: it may be about to
    send it."""
    most_studies: Count = 200
    """How many are fetched in one go, the newest first."""


class DimsePeer(Strict):
    """A PACS or workstation that takes C-STORE."""

    kind: Literal["dimse"]
    """`dimse`: a PACS or workstation that takes C-STORE."""
    ae_title: AETitle
    """Its AE title."""
    host: str
    """Its name or address."""
    port: Port
    """Its port for DICOM."""
    connect_timeout_s: Seconds = 10
    """How long a connection may take, in seconds."""
    timeout_s: Seconds = 60
    """How long one answer may take, in seconds."""
    tls: PeerTlsSettings | None = None
    """TLS towards this peer; `{}` trusts who the system trusts, and shows no certificate."""
    commitment: CommitmentSettings | None = None
    """Ask it for storage commitment; a job is done when all is committed."""
    catch_up: CatchUpSettings | None = None
    """Ask it for studies that were missed."""
    results: ResultForms = ResultForms()
    """The forms that it is sent results in."""


class OAuth2Settings(Strict):
    """Client credentials (RFC 6749 4.4)."""

    token_url: Url
    """Where tokens are given out."""
    client_id: Annotated[str, StringConstraints(min_length=1)]
    """Who this node is there."""
    client_secret_file: SecretFile
    """A file that holds the secret and nothing else, readable by its owner alone (`chmod 600`)."""
    scope: str | None = None
    """What the token is asked for, where that must be said."""
    tls: PeerTlsSettings | None = None
    """TLS towards the host of `token_url`; without it, the peer's `ca`."""

    @model_validator(mode="after")
    def _is_protected(self) -> "OAuth2Settings":
        if is_plain(self.token_url) and not is_on_loopback(self.token_url):
            raise ValueError("the secret would cross the network unprotected: give https://")
        return self


class DicomwebPeer(Strict):
    """A DICOMweb service that takes STOW-RS (PS3.18 10.5)."""

    kind: Literal["dicomweb"]
    """`dicomweb`: a service that takes STOW-RS; needs the extra `dicomweb`."""
    url: Url
    """Its address, up to what comes before `/studies`: `https://pacs.hospital/dicom-web`."""
    allow_plaintext: bool = False
    """Must be true for `http://` beyond this machine: results then cross the network
    unprotected."""
    connect_timeout_s: Seconds = 10
    """How long a connection may take, in seconds."""
    timeout_s: Seconds = 60
    """How long one answer may take, in seconds."""
    request_mb: Count = 64
    """The most MB of objects in one request; a larger object goes alone."""
    tls: PeerTlsSettings | None = None
    """TLS towards this peer, where the system's CAs are not enough, or it wants a certificate."""
    oauth2: OAuth2Settings | None = None
    """How to get the token that it asks for."""
    catch_up: CatchUpSettings | None = None
    """Ask it for studies that were missed."""
    results: ResultForms = ResultForms()
    """The forms that it is sent results in."""

    @model_validator(mode="after")
    def _is_protected(self) -> "DicomwebPeer":
        if not is_plain(self.url):
            return self
        if self.tls is not None:
            raise ValueError("tls is for https://: change the url, or leave out tls")
        if is_on_loopback(self.url):
            return self
        if self.oauth2 is not None:
            raise ValueError("the token would cross the network unprotected: give https://")
        if not self.allow_plaintext:
            raise ValueError(
                "results would cross the network unprotected: give https://, or set "
                "allow_plaintext: true"
            )
        return self


def is_plain(url: str) -> bool:
    return url.lower().startswith("http://")


def is_on_loopback(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


class FolderPeer(Strict):
    """A folder that takes files, each whole or not at all."""

    kind: Literal["folder"]
    """`folder`: a folder that takes files."""
    path: Path
    """The folder; it is made where it is missing."""
    results: ResultForms = ResultForms()
    """The forms that it is given results in."""


AnyPeer = Annotated[DimsePeer | DicomwebPeer | FolderPeer, Field(discriminator="kind")]
