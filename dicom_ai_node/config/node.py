"""`node`: who this node is, where it listens, and where it keeps things."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from dicom_ai_node.config.font import FontFile
from dicom_ai_node.config.secret_file import SecretFile
from dicom_ai_node.config.strict import Sha256, Strict
from dicom_ai_node.config.values import AETitle, ListenPort, Uid, as_list
from dicom_ai_node.language import Language


class TlsSettings(Strict):
    """The port with TLS (PS3.15 B.12); its peers show certificates that `ca` has signed."""

    port: ListenPort = 2762
    """The port with TLS; 2762 is the one registered for it."""
    certificate: Path
    """PEM file: this node's certificate, followed by those between it and its CA."""
    key: SecretFile
    """PEM file: the certificate's private key, readable by its owner alone (`chmod 600`)."""
    ca: Path
    """PEM file: the CA, or several, that sign the certificates of those who may connect."""
    crl: Path | None = None
    """PEM file: the list of revoked certificates; the CA's peers are refused once it is too old."""


class NodeSettings(Strict):
    """Who this node is, and where it keeps things; relative paths start at the working folder."""

    ae_title: Annotated[
        tuple[AETitle, ...],
        BeforeValidator(as_list, json_schema_input_type=AETitle | tuple[AETitle, ...]),
        Field(min_length=1),
    ]
    """This node's AE title, or a list of several: rules see the one that was called as
    `$called_ae`. 1 to 16 characters, and it must be the one that is entered at the PACS."""
    host: str = "127.0.0.1"
    """The address of this machine on which it listens for DICOM; `0.0.0.0` is all of them."""
    port: ListenPort | None = 11112
    """The port for DICOM without TLS; `null`: there is none."""
    tls: TlsSettings | None = None
    """The port with TLS, beside or instead of the one without."""
    allow_plaintext: bool = False
    """Must be true to listen without TLS beyond this machine: images then cross the network
    unprotected."""
    receive_processes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes receive on the same port, for more cores; each counts its own
    associations."""
    spool: Path = Path("var")
    """The folder of received instances and of results: patient data."""
    database: str = "sqlite:///./var/node.db"
    """The database's file, as `sqlite:///PATH`; never on a network file system."""
    models: Path = Path("models")
    """The folder of installed models, the model store."""
    trusted_models: tuple[Sha256, ...] = ()
    """Packages whose own code may run, by the SHA-256 that `models show` prints: read the code
    first."""
    retain_days: Annotated[float, Field(ge=0)] = 14
    """How long a delivered study is kept, in days from its last image or its last delivery on:
    [operations.md](operations.md)."""
    accept_deflated: bool = False
    """Take Deflated transfer syntaxes: a small object may then hold gigabytes."""
    accept_video: bool = False
    """Take video transfer syntaxes."""
    accept_sop_classes: tuple[Uid, ...] = ()
    """SOP Class UIDs to take beyond images, reports and presentation states: raw data, RT,
    waveforms, documents, private ones. They are stored, and no model sees them."""
    drain_s: Annotated[float, Field(ge=0)] = 30
    """How long a stop waits for objects that are on their way, in seconds."""
    font: FontFile | None = None
    """A TTF, OTF or TTC file with the site's letters, for
    [pages that are drawn](results.md#the-summary-page); without it, the system's."""
    language: Language = Language.ENGLISH
    """The language of the node's own words in what it sends:
    [results.md](results.md#language-and-letters)."""
