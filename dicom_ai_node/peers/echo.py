"""Whether a peer is there: by C-ECHO, by QIDO-RS, or whether a folder can be written."""

from datetime import datetime

from dicom_ai_node.config.peers import AnyPeer, DicomwebPeer, DimsePeer
from dicom_ai_node.config.settings import NodeSettings
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.check import can_write, check_peers
from dicom_ai_node.peers.dimse import DimseStore


def echo(name: str, settings: AnyPeer, node: NodeSettings, *, now: datetime) -> str:
    """What answered, in words; raises PeerUnreachable, or ConfigError for files of TLS."""
    check_peers({name: settings}, now)
    if isinstance(settings, DimsePeer):
        DimseStore(settings, calling_ae_title=node.ae_title[0]).echo()
        how = " over TLS" if settings.tls is not None else ""
        return f"{settings.ae_title} at {settings.host}:{settings.port} answers{how}"
    if isinstance(settings, DicomwebPeer):
        from dicom_ai_node.peers.dicomweb.query import DicomwebQuery  # an extra

        DicomwebQuery(settings).echo()
        return f"{settings.url} answers"
    if not can_write(settings.path):
        raise PeerUnreachable(f"{settings.path} cannot be written: check its owner")
    return f"{settings.path} can be written"
