"""What a person must hear of, and how; and the study with which the node tries itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from dicom_ai_node.config.alarm_names import AlarmName
from dicom_ai_node.config.peers import (
    HostName,
    PeerTlsSettings,
    UrlWithQuery,
    is_on_loopback,
    is_plain,
)
from dicom_ai_node.config.peers import is_loopback as is_loopback_host
from dicom_ai_node.config.secret_file import SecretFile
from dicom_ai_node.config.strict import ModelName, PeerName, Strict
from dicom_ai_node.config.values import AETitle, Port, as_list

Hours = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Minutes = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Days = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# what an address may be, and no list of several, and no second header
MailAddress = Annotated[str, StringConstraints(pattern=r"^[!-9;=?A-~]{1,64}@[A-Za-z0-9.-]{1,253}$")]


class Wanted(Strict):
    """Which alarms a channel is told of; both must fit."""

    severity: Literal["warning", "critical"] = "warning"
    """The least severity that is told here: warning means all alarms."""
    names: Annotated[tuple[AlarmName, ...], BeforeValidator(as_list)] = ()
    """Only alarms of these names (the headings of docs/runbook.md); empty means all of them."""

    def wants(self, name: str, severity: str) -> bool:
        enough = severity == "critical" or self.severity == "warning"
        return enough and (not self.names or name in self.names)


class WebhookSettings(Wanted):
    """An address that is sent each notification as JSON by POST."""

    url: UrlWithQuery | None = None
    """Where it is sent, such as https://alerts.hospital/dicom; give this or `url_file`."""
    url_file: SecretFile | None = None
    """A file that holds the address and nothing else, of no use to others (chmod 600); for one
    with a key in it."""
    secret_file: SecretFile | None = None
    """A file with a secret that both sides know: the header X-Signature-256 then holds the
    HMAC-SHA256 of the body, so that the receiver knows who sent it."""
    ca: Path | None = None
    """PEM, of those who sign the receiver's certificate; null: those that the system trusts."""
    allow_plaintext: bool = False
    """Permits http:// to another machine, where anybody on the network can read along."""

    @model_validator(mode="after")
    def _is_protected(self) -> "WebhookSettings":
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either url, or url_file where the address is a secret")
        if self.url is None or self.allow_plaintext:
            return self
        if is_plain(self.url) and not is_on_loopback(self.url):
            raise ValueError(
                "alarms would cross the network unprotected: give https://, or set "
                "allow_plaintext: true"
            )
        return self


class EmailSettings(Wanted):
    """The mail server that takes the node's messages, and who gets them."""

    host: HostName
    """The mail server."""
    port: Port = 587
    """587 for starttls, 465 for tls, 25 for none, as most mail servers have it."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected; none is allowed on this machine alone, and nowhere with a
    password."""
    ca: Path | None = None
    """PEM, of those who sign the server's certificate; null: those that the system trusts."""
    user: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The name to sign in with; null: the server asks for none."""
    password_file: SecretFile | None = None
    """A file with the password, of no use to others (chmod 600)."""
    from_: Annotated[MailAddress, Field(alias="from")]
    """The sender's address."""
    to: Annotated[tuple[MailAddress, ...], BeforeValidator(as_list), Field(min_length=1)]
    """Who gets the messages."""

    @model_validator(mode="after")
    def _is_protected(self) -> "EmailSettings":
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together: give both, or neither")
        if self.tls == "none" and not is_loopback_host(self.host):
            raise ValueError("messages would cross the network unprotected: use starttls or tls")
        return self


class StudiesComeSettings(Strict):
    """When studies are expected: hours outside do not count as silence."""

    between: tuple[Clock, Clock] | None = None
    """Local time, such as ["07:00", "19:00"]; null: at all hours."""
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = WEEKDAYS
    """The days on which studies come, such as [mon, tue, wed, thu, fri]."""

    @model_validator(mode="after")
    def _is_open(self) -> "StudiesComeSettings":
        if self.between and self.between[0] >= self.between[1]:
            raise ValueError("between takes an earlier and a later time of one day")
        return self


class AlarmSettings(Strict):
    """What raises an alarm, and who is told; docs/runbook.md says what to do about each."""

    webhooks: tuple[WebhookSettings, ...] = ()
    """Addresses that are told, for a pager, a chat or a ticket system."""
    email: EmailSettings | None = None
    """Who is told by e-mail."""
    nothing_received_h: Hours | None = 24
    """No study for so many hours in which studies are expected is an alarm; null: never."""
    studies_come: StudiesComeSettings = StudiesComeSettings()
    """Only these hours count for nothing_received_h."""
    peer_unreachable_min: Minutes = 30
    """Results that have waited for a peer so long, and were tried in vain, are an alarm."""
    queue_late_min: Minutes = 60
    """A job, urgent or routine, that has waited so long for its turn is an alarm."""
    worker_silent_min: Minutes = 10
    """Jobs that wait so long while nobody works on any are an alarm."""
    not_committed_h: Hours = 24
    """An object that its peer has stored and not committed to for so long is an alarm."""
    backup_days: Days | None = 8
    """The last backup may be so old, where one was ever made; null: it does not matter."""
    audit_not_sent_h: Hours = 1
    """Audit messages that have waited so long for their collector are an alarm."""


class ProbeSettings(Strict):
    """The known-answer study that goes through the whole road, to a peer and back by query."""

    every_h: Hours | None = None
    """How often, in hours; give this or `at`."""
    at: Clock | None = None
    """Once a day at this local time, such as "06:30"."""
    peer: PeerName
    """The peer that the results are sent to and that is asked for them; of kind dimse."""
    model: ModelName = "threshold-ct"
    """The model that answers; one that brings a known case in DICOM is tried with that case,
    threshold-ct with a made one."""
    within_min: Minutes = 15
    """An answer that is not back after so many minutes is late; after twice as many, it failed."""
    ae_title: AETitle = "AI_NODE_PROBE"
    """The node calls itself so when it sends the study; an entry of accept must let it store."""
    tls: PeerTlsSettings | None = None
    """What the node shows itself where it listens with TLS alone (node.port is null)."""

    @model_validator(mode="after")
    def _has_one_time(self) -> "ProbeSettings":
        if (self.every_h is None) == (self.at is None):
            raise ValueError("say when: either every_h (such as 24) or at (such as '06:30')")
        return self
