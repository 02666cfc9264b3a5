"""What `setup` asks: also the keys of `--answers FILE`."""

import ipaddress
import socket
from pathlib import Path
from typing import Annotated

from pydantic import Field

from dicom_ai_node.config.peers import HostName, is_loopback
from dicom_ai_node.config.strict import ModelName, Strict
from dicom_ai_node.config.values import AETitle, Network, Port

MODEL = "brain-mr"


class PacsAnswers(Strict):
    """Where results go, and where studies come from."""

    ae_title: AETitle = "PACS"
    """The AE title of the PACS."""
    host: HostName = "127.0.0.1"
    """Its name or address."""
    port: Port = 104
    """Its port for DICOM."""


class Sender(Strict):
    """Who may send studies."""

    ae_title: AETitle
    """Its AE title."""
    from_: Annotated[tuple[Network, ...], Field(alias="from", min_length=1)]
    """Its addresses, or whole networks."""


class Answers(Strict):
    """All answers; what is left out has the value that `setup` would propose."""

    ae_title: AETitle = "AI_NODE"
    """The AE title of this node."""
    port: Port = 11112
    """The port on which it listens."""
    pacs: PacsAnswers = PacsAnswers()
    """Where results go."""
    models: tuple[ModelName, ...] = (MODEL,)
    """Which models of the catalogue run."""
    spool: Path = Path("var")
    """Where received studies and results are kept."""
    senders: tuple[Sender, ...] = ()
    """Who may send; nobody named: the PACS."""
    fetch: bool = False
    """Fetch the models at once, which needs a network."""

    @property
    def is_local(self) -> bool:
        """Whether the PACS is on this machine, and everybody else too."""
        networks = [network for sender in self.senders for network in sender.from_]
        return is_loopback(self.pacs.host) and all(each.is_loopback for each in networks)


def address_of(host: str) -> str | None:
    """As `accept` wants it; None where the name service knows none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
    except (OSError, UnicodeError):
        return None
    return str(ipaddress.ip_address(str(found).partition("%")[0]))


def own_address(host: str) -> str:
    """That of this machine on the way to a host; nothing is sent."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return "the address of this machine"
