"""Peers as a person wants to see them: where each is, what waits for it, what it said last."""

from typing import Any

from dicom_ai_node.config.peers import AnyPeer, DicomwebPeer, DimsePeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import health, overview
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database


def read_peers(config: Config, database: Database) -> list[dict[str, Any]]:
    """Those of the configuration, then those for which something waits all the same."""
    configured = config.peers
    with database.read() as connection:
        found = books(connection)
        names = [*configured, *sorted(found.waiting_for.keys() - configured.keys())]
        said = overview.last_answers(connection, names)
        seen = {name: health.last_contact(connection, name) for name in names}
    return [
        {
            "name": name,
            "what": _where(configured[name]) if name in configured else "not configured any more",
            "is_configured": name in configured,
            "last_contact": seen[name],
            "waiting": found.waiting.get(name),
            "uncommitted": found.uncommitted.get(name, 0),
            "last_answer": said[name],
        }
        for name in names
    ]


def _where(peer: AnyPeer) -> str:
    if isinstance(peer, DimsePeer):
        return f"DICOM {peer.ae_title} {peer.host}:{peer.port}" + (" TLS" if peer.tls else "")
    if isinstance(peer, DicomwebPeer):
        return f"DICOMweb {peer.url}"
    return "folder"
