"""When the certificates that the configuration names end, and the list of those revoked."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dicom_ai_node.config.peers import FolderPeer
from dicom_ai_node.config.settings import Config

CRL = "node.tls.crl"


def certificate_files(config: Config) -> Iterator[tuple[str, Path]]:
    """Key and file: ours, and those of the authorities that we believe."""
    tls = config.node.tls
    if tls is not None:
        yield "node.tls.certificate", tls.certificate
        yield "node.tls.ca", tls.ca
        if tls.crl is not None:
            yield CRL, tls.crl
    if config.web.tls is not None:
        yield "web.tls.certificate", config.web.tls.certificate
    for name, peer in config.peers.items():
        of_peer = None if isinstance(peer, FolderPeer) else peer.tls
        if of_peer is None:
            continue
        for key, path in (("certificate", of_peer.certificate), ("ca", of_peer.ca)):
            if path is not None:
                yield f"peers.{name}.tls.{key}", path


def ends(key: str, path: Path) -> datetime | None:
    """Of the first in the file that ends; None for a list of revoked ones without an end. Raises
    ConfigError."""
    # it brings `cryptography`: 10 MB
    from dicom_ai_node.certificates import crl_ends, read_certificates

    if key == CRL:
        return crl_ends(path)
    return min(each.not_valid_after_utc for each in read_certificates(key, path))
