"""A peer that is back is sent what waits at once, when a person says so.

A file in the spool says it, one a peer: the queue of that peer, in whatever process, takes it away.
"""

from pathlib import Path

from dicom_ai_node.spool import Spool, make_durable_folder


def ask(spool: Spool, peer: str) -> None:
    """`peer` is a name of the configuration."""
    marker = _marker(spool, peer)
    make_durable_folder(marker.parent)
    marker.touch(mode=0o600)


def take(spool: Spool, peer: str) -> bool:
    """Whether somebody asked, since this was last asked."""
    try:
        _marker(spool, peer).unlink()
    except FileNotFoundError:
        return False
    return True


def _marker(spool: Spool, peer: str) -> Path:
    return spool.root / "send-now" / peer
