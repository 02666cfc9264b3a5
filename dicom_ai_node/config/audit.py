"""Where the audit trail goes."""

from typing import Annotated

from pydantic import Field, model_validator

from dicom_ai_node.config.peers import HostName, PeerTlsSettings
from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import Port, Seconds


class SyslogSettings(Strict):
    """An audit record repository: syslog over TLS (PS3.15 A.6, RFC 5424, RFC 5425)."""

    host: HostName
    """The repository: a name or an address."""
    port: Port = 6514
    """6514 is registered for syslog over TLS, 514 for syslog over UDP."""
    tls: PeerTlsSettings | None = None
    """Whom the node believes, and the certificate that it shows. Most repositories want one."""
    allow_plaintext: bool = False
    """True sends over UDP instead (RFC 5426): anybody between may read it, and messages may be
    lost. Messages name patients."""
    facility: Annotated[int, Field(ge=0, le=23)] = 10
    """The syslog facility: 10 is security and authorization, as DICOM wants it."""
    timeout_s: Seconds = 10
    """How long the repository may take to accept a connection, or a message."""

    @model_validator(mode="after")
    def _is_protected(self) -> "SyslogSettings":
        if self.tls is None and not self.allow_plaintext:
            raise ValueError(
                "messages name patients: set tls, or set allow_plaintext: true for UDP"
            )
        if self.tls is not None and self.allow_plaintext:
            raise ValueError("tls and allow_plaintext exclude each other: leave out one")
        return self


class AuditSettings(Strict):
    """The DICOM audit trail (PS3.15 A.5): a file in the spool, and a repository."""

    source_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The name of this node in its messages (AuditSourceID). Left out: its first AE title."""
    enterprise_site_id: Annotated[str, Field(max_length=64)] = ""
    """The hospital or department (AuditEnterpriseSiteID), where several send to one repository."""
    keep_days: Annotated[int, Field(ge=1)] | None = None
    """After so many days the files in the spool are deleted, once they are sent where `syslog` is
    set. Left out: they are kept for ever."""
    syslog: SyslogSettings | None = None
    """Where messages are sent as well. They wait in the spool while the repository is down."""
