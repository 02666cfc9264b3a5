"""What can be said of peers without asking them: files that are missing, open or too old."""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from dicom_ai_node.certificates import expiry
from dicom_ai_node.config.peers import (
    AnyPeer,
    DicomwebPeer,
    DimsePeer,
    FolderPeer,
    PeerTlsSettings,
    is_loopback,
    is_plain,
)
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.peers.open import require_dicomweb
from dicom_ai_node.peers.tls import files_of, peer_context
from dicom_ai_node.secret import read_secret_text


def check_peers(peers: Mapping[str, AnyPeer], now: datetime) -> list[str]:
    """Sentences on what works, and should be looked at; ConfigError names every mistake."""
    notes: list[str] = []
    mistakes: list[str] = []
    for name, settings in peers.items():
        try:
            notes += _check(f"peers.{name}", settings, now)
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return notes


def _check(key: str, settings: AnyPeer, now: datetime) -> Iterator[str]:
    if isinstance(settings, FolderPeer):
        if not can_write(settings.path):
            yield f"{key}.path: {settings.path} cannot be written: check its owner"
        return
    yield from _check_tls(f"{key}.tls", settings.tls, now)
    if isinstance(settings, DimsePeer):
        if settings.tls is None and not is_loopback(settings.host):
            yield f"{key}: results cross the network unprotected: set tls if the peer can"
    else:
        yield from _check_dicomweb(key, settings, now)


def _check_dicomweb(key: str, settings: DicomwebPeer, now: datetime) -> Iterator[str]:
    try:
        require_dicomweb()
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    if is_plain(settings.url) and settings.allow_plaintext:
        yield f"{key}: results cross the network unprotected: give an https:// address"
    if settings.oauth2 is not None:
        read_secret_text(f"{key}.oauth2.client_secret_file", settings.oauth2.client_secret_file)
        yield from _check_tls(f"{key}.oauth2.tls", settings.oauth2.tls, now)


def _check_tls(key: str, tls: PeerTlsSettings | None, now: datetime) -> Iterator[str]:
    if tls is None:
        return
    peer_context(tls, key)
    for name, path in files_of(tls).items():
        if sentence := expiry(f"{key}.{name}", path, now):
            yield sentence


def can_write(folder: Path) -> bool:
    """Whether files could be put there; the folder may still have to be made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)
