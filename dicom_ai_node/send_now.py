"""A peer that is back is sent what waits at once, when a person says so.

A file in the spool says it, one a peer: the queue of that peer, in whatever process, takes it away.
"""

import os
from pathlib import Path

from dicom_ai_node.log import get_logger
from dicom_ai_node.spool import Spool, make_durable_folder

log = get_logger(__name__)
_told: set[Path] = set()  # once a process: a queue asks every second


def ask(spool: Spool, peer: str) -> None:
    """`peer` is a name of the configuration."""
    marker = _marker(spool, peer)
    make_durable_folder(marker.parent)
    if os.geteuid() == 0:  # what root makes, the account of the node must be able to take away
        owner = spool.root.stat()
        os.chown(marker.parent, owner.st_uid, owner.st_gid)
    marker.touch(mode=0o600)


def take(spool: Spool, peer: str) -> bool:
    """Whether somebody asked, since this was last asked; never where it cannot be taken away."""
    marker = _marker(spool, peer)
    try:
        marker.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        if marker not in _told:
            _told.add(marker)
            log.warning(
                "send_now_not_taken",
                peer=peer,
                errno=error.errno,
                next_step=f"give {marker.parent} and what is in it to the node's account",
            )
        return False
    return True


def _marker(spool: Spool, peer: str) -> Path:
    return spool.root / "send-now" / peer
