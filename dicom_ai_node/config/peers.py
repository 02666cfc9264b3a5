"""Where results go, and who is asked for studies: the entries of `peers`."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dicom_ai_node.config.result_forms import ResultForms
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


Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$"), AfterValidator(_checked_url)]


class PeerTlsSettings(Strict):
    """TLS as the one who asks (PS3.15 B.12): whom we believe, and what we show."""

    ca: Path | None = None  # PEM, of those who sign the peer's certificate; None: the system's
    certificate: Path | None = None  # PEM, ours
    key: Path | None = None  # PEM, of no use to others
    server_name: HostName | None = None  # in the peer's certificate; None: the host we connect to

    @model_validator(mode="after")
    def _has_both(self) -> "PeerTlsSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both, or neither")
        return self


class CommitmentSettings(Strict):
    """Storage commitment is asked for (PS3.4 J): delivered is what the peer has committed to."""

    answer_s: Seconds = 3600  # without a report, it is asked again


class CatchUpSettings(Strict):
    """What a peer was sent by its modalities while this node was down is asked for (C-FIND, QIDO)
    and fetched, where a route would take it."""

    hours: Annotated[float, Field(gt=0)] = 24  # how far it is looked back
    every_s: Seconds = 3600  # and once after each start
    # a study that does not grow is left to the peer for so long: it may be about to send it
    wait_s: Seconds = 120
    most_studies: Count = 200  # fetched in one go, the newest first


class DimsePeer(Strict):
    """A PACS or workstation that takes C-STORE."""

    kind: Literal["dimse"]
    ae_title: AETitle
    host: str
    port: Port
    connect_timeout_s: Seconds = 10
    timeout_s: Seconds = 60  # for one answer
    tls: PeerTlsSettings | None = None
    commitment: CommitmentSettings | None = None
    catch_up: CatchUpSettings | None = None
    results: ResultForms = ResultForms()


class OAuth2Settings(Strict):
    """Client credentials (RFC 6749 4.4)."""

    token_url: Url
    client_id: Annotated[str, StringConstraints(min_length=1)]
    client_secret_file: Path  # of no use to others
    scope: str | None = None
    tls: PeerTlsSettings | None = None  # of the token's host; None: the peer's `ca`

    @model_validator(mode="after")
    def _is_protected(self) -> "OAuth2Settings":
        if is_plain(self.token_url) and not is_on_loopback(self.token_url):
            raise ValueError("the secret would cross the network unprotected: give https://")
        return self


class DicomwebPeer(Strict):
    """A DICOMweb service that takes STOW-RS (PS3.18 10.5)."""

    kind: Literal["dicomweb"]
    url: Url  # above /studies
    allow_plaintext: bool = False  # http:// beyond this machine
    connect_timeout_s: Seconds = 10
    timeout_s: Seconds = 60  # for one answer
    request_mb: Count = 64  # of objects in one request; a larger object goes alone
    tls: PeerTlsSettings | None = None
    oauth2: OAuth2Settings | None = None
    catch_up: CatchUpSettings | None = None
    results: ResultForms = ResultForms()

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
    path: Path
    results: ResultForms = ResultForms()


AnyPeer = Annotated[DimsePeer | DicomwebPeer | FolderPeer, Field(discriminator="kind")]
