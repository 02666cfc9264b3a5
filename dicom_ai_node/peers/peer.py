"""The seam for destinations."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicom_ai_node.job import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutcome:
    """What a peer answered for one object: stored, refused for good, or pending for a retry."""

    state: DeliveryState
    status: str  # for people, without patient data: "0000", "A700 out of resources"


UNREADABLE = StoreOutcome(
    state=DeliveryState.REFUSED, status="the file in the outbox cannot be read"
)


class Peer(Protocol):
    """A destination for result objects."""

    def store(self, objects: Sequence[Path]) -> Sequence[StoreOutcome]:
        """Send Part 10 files unchanged.

        Parameters
        ----------
        objects
            Files of the outbox; their names say nothing.

        Returns
        -------
        Sequence[StoreOutcome]
            One outcome per object, in the same order. An object that fails does not stop the
            others.

        Raises
        ------
        PeerUnreachable
            When nothing could be sent at all.
        """
        ...
