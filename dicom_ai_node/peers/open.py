"""From a peer's settings to the peer."""

from dicom_ai_node.config.peers import AnyPeer, DimsePeer
from dicom_ai_node.config.settings import NodeSettings
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.peers.folder import FolderStore
from dicom_ai_node.peers.peer import Peer


def open_peer(settings: AnyPeer, node: NodeSettings) -> Peer:
    if isinstance(settings, DimsePeer):
        return DimseStore(settings, calling_ae_title=node.ae_title[0])
    return FolderStore(settings)
