"""What the deliver role runs for each peer, beside what is missed there: see `missed`."""

import socket
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

from dicom_ai_node.cli.node import Node
from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.database import fetches

if TYPE_CHECKING:
    from dicom_ai_node.audit_sender import Sender
    from dicom_ai_node.confirm import Confirmation
    from dicom_ai_node.deliver import PeerQueue
    from dicom_ai_node.intake.fetcher import Fetcher


def peer_queues(node: Node, *, wants_commitment: Container[str]) -> list["PeerQueue"]:
    """One for each peer that is configured."""
    from dicom_ai_node.deliver import PeerQueue
    from dicom_ai_node.peers.open import open_peer
    from dicom_ai_node.sent import SentTo

    return [
        PeerQueue(
            name=name,
            peer=open_peer(settings, node.config.node),
            spool=node.spool,
            database=node.database,
            settings=node.config.delivery,
            wants_commitment=name in wants_commitment,
            sent_to=SentTo.of(name, settings),
        )
        for name, settings in node.config.peers.items()
    ]


def confirmations(node: Node, asked: Mapping[str, DimsePeer]) -> list["Confirmation"]:
    """One for each peer that is asked for storage commitment."""
    from dicom_ai_node.confirm import Confirmation

    return [
        Confirmation(
            name=name,
            peer=peer,
            calling_ae_title=node.config.node.ae_title[0],
            spool=node.spool,
            database=node.database,
            settings=node.config.delivery,
        )
        for name, peer in asked.items()
    ]


def audit_senders(node: Node) -> list["Sender"]:
    """One, where the trail goes to a repository."""
    from dicom_ai_node.audit_sender import Sender

    settings = node.config.audit.syslog
    if settings is None:
        return []
    return [Sender(settings=settings, folder=node.trail.folder, host=socket.gethostname())]


def prior_fetchers(node: Node) -> list["Fetcher"]:
    """One for each peer from which a route takes priors."""
    from dicom_ai_node.intake.comparison import sources_of
    from dicom_ai_node.intake.fetcher import Fetcher

    peers = {name: node.config.peers[name] for name in sources_of(node.config.routes)}
    with node.database.write() as connection:
        fetches.resume(connection, peers, now=node.database.now())
    return [
        Fetcher(
            name=name,
            settings=settings,
            ae_title=node.config.node.ae_title[0],
            spool=node.spool,
            database=node.database,
        )
        for name, settings in peers.items()
        if isinstance(settings, DimsePeer)
    ]
