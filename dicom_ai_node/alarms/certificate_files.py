"""The certificates on which the node's connections rest, and when they end."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dicom_ai_node.config.peers import FolderPeer
from dicom_ai_node.config.settings import Config


def certificate_files(config: Config) -> Iterator[tuple[str, Path]]:
    """By the key that names it: ours, and those of the authorities that we believe."""
    if config.node.tls is not None:
        yield "node.tls.certificate", config.node.tls.certificate
        yield "node.tls.ca", config.node.tls.ca
    for name, peer in config.peers.items():
        tls = None if isinstance(peer, FolderPeer) else peer.tls
        if tls is None:
            continue
        for key, path in (("certificate", tls.certificate), ("ca", tls.ca)):
            if path is not None:
                yield f"peers.{name}.tls.{key}", path


def end_of(key: str, path: Path) -> datetime | None:
    """Of the first that ends; raises ConfigError."""
    # it brings `cryptography`: 10 MB
    from dicom_ai_node.certificates import read_certificates

    return min((each.not_valid_after_utc for each in read_certificates(key, path)), default=None)
