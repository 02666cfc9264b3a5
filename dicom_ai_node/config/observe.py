"""The ports that people and monitoring look at."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from dicom_ai_node.config.secret_file import SecretFile
from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import ListenPort, Network

HeaderName = Annotated[
    str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")
]
HostName = Annotated[
    str,
    StringConstraints(to_lower=True, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"),
]
Group = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class WebTlsSettings(Strict):
    """The page by https."""

    certificate: Path
    """PEM: the certificate of the page, and those between it and its CA."""
    key: SecretFile
    """PEM, without a passphrase, of no use to others (mode 0600)."""


class ProxySettings(Strict):
    """A proxy that signs people in (OIDC, SAML, Kerberos), and says in headers who they are."""

    from_: Annotated[tuple[Network, ...], Field(alias="from", min_length=1)]
    """Addresses of the proxy. Its headers are believed from these addresses alone."""
    user_header: HeaderName = "x-forwarded-user"
    """The header with the name of the person; it stands in the audit trail."""
    groups_header: HeaderName = "x-forwarded-groups"
    """The header with the groups of the person, with commas between them."""
    look: tuple[Group, ...] = ()
    """Groups that may look: at states and numbers, not at UIDs or images."""
    act: tuple[Group, ...] = ()
    """Groups that may act on jobs, studies and peers, and see UIDs and pictures of results."""
    configure: tuple[Group, ...] = ()
    """Groups that may switch models off and on, drain the node, and make tokens."""


class WebSettings(Strict):
    """The web page, which needs the extra `web`."""

    host: str = "127.0.0.1"
    """Where the page listens. Beyond this machine it needs `tls`, or `allow_plaintext`."""
    port: ListenPort | None = 8080
    """null: there is no page."""
    names: tuple[HostName, ...] = ()
    """Names under which browsers reach the page, such as ai-node.hospital.org. It answers to
    addresses, to localhost and to these names, and to no other."""
    tls: WebTlsSettings | None = None
    """Certificate and key, for https."""
    allow_plaintext: bool = False
    """true: the page may be reached from other machines by http. Only behind a proxy with https."""
    session_hours: Annotated[float, Field(gt=0, le=168)] = 12
    """After so many hours a person signs in again."""
    proxy: ProxySettings | None = None
    """Who signs people in before they reach the page; without it, tokens alone do."""


class MetricsSettings(Strict):
    """`/metrics` for Prometheus, `/health/live`, `/health/ready` and `/status.json`."""

    host: str = "127.0.0.1"
    """Where it listens; nothing that it says identifies a patient."""
    port: ListenPort | None = 9464
    """null: nowhere."""
    silent_s: Annotated[float, Field(ge=5)] = 60
    """After so many seconds without a sign of life from a role (`receive`, `work`, `deliver`),
    `/health/ready` says that the node is not ready."""
