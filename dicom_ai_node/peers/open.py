"""From a peer's settings to the peer."""

from dicom_ai_node.config.peers import AnyPeer, DicomwebPeer, DimsePeer
from dicom_ai_node.config.settings import NodeSettings
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.peers.folder import FolderStore
from dicom_ai_node.peers.peer import Peer


def open_peer(settings: AnyPeer, node: NodeSettings) -> Peer:
    """Raises ConfigError for `dicomweb` where what it needs is not installed."""
    if isinstance(settings, DimsePeer):
        return DimseStore(settings, calling_ae_title=node.ae_title[0])
    if isinstance(settings, DicomwebPeer):
        require_dicomweb()
        from dicom_ai_node.peers.dicomweb.stow import DicomwebStore

        return DicomwebStore(settings)
    return FolderStore(settings)


def require_dicomweb() -> None:
    try:
        import urllib3  # noqa: F401 - an extra
    except ModuleNotFoundError:
        raise ConfigError(
            "a peer of kind dicomweb needs more than is installed: run "
            "`pip install 'dicom-ai-node[dicomweb]'`"
        ) from None
