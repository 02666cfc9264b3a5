"""Where results go, and who is asked for studies: the entries of `peers`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import AETitle, Count, Port, Seconds


class PeerTlsSettings(Strict):
    """TLS as the one who asks (PS3.15 B.12): whom we believe, and what we show."""

    ca: Path | None = None  # PEM, of those who sign the peer's certificate; None: the system's
    certificate: Path | None = None  # PEM, ours
    key: Path | None = None  # PEM, of no use to others


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

    token_url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    client_id: str
    client_secret_file: Path
    scope: str | None = None


class DicomwebPeer(Strict):
    """A DICOMweb service that takes STOW-RS (PS3.18 10.5)."""

    kind: Literal["dicomweb"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://")]  # above /studies
    connect_timeout_s: Seconds = 10
    timeout_s: Seconds = 60  # for one answer
    tls: PeerTlsSettings | None = None
    oauth2: OAuth2Settings | None = None
    catch_up: CatchUpSettings | None = None
    results: ResultForms = ResultForms()


class FolderPeer(Strict):
    """A folder that takes files, each whole or not at all."""

    kind: Literal["folder"]
    path: Path
    results: ResultForms = ResultForms()


AnyPeer = Annotated[DimsePeer | FolderPeer, Field(discriminator="kind")]
