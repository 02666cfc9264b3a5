"""The seam for destinations."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicom_ai_node.job import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutcome:
    """What a peer answered for one object: stored, refused for good, or pending for a retry."""

    state: DeliveryState
    status: str  # for people, without patient data: "0000", "A700 out of resources"
    form_refused: bool = False  # it takes nothing of this SOP class, or not in this syntax
    has_warning: bool = False  # stored, and not as it was sent, or with a doubt
    was_tried: bool = True  # false: it was not its turn, because of what befell another


def _unasked() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Objects that belong together; with `or_else` there is another form of them.

    The peer is then sent all of them or, as soon as it is known not to take one, no more of them.
    `is_sound` reads all files: it is asked once the peer is there, for one that is down is tried
    for days. Where it says no, nothing is sent; nor where `is_wanted` does, which is asked just
    before the offer is sent, for those before it may take hours.
    """

    paths: Sequence[Path]  # files of the outbox; their names say nothing
    or_else: bool = False
    is_sound: Callable[[], bool] = _unasked
    is_wanted: Callable[[], bool] = _unasked


UNREADABLE = StoreOutcome(
    state=DeliveryState.REFUSED, status="the file in the outbox cannot be read"
)
ALTERED = StoreOutcome(
    state=DeliveryState.REFUSED,
    status="an object of this result was altered after it was made, so that nothing of it is sent: "
    "restore its file, then `jobs retry`",
)
NOT_SENT = StoreOutcome(
    state=DeliveryState.PENDING,
    status="not sent: the peer does not take another of its form",
    was_tried=False,
)
NOT_WANTED = StoreOutcome(
    state=DeliveryState.PENDING,
    status="not sent: its job was stopped meanwhile",
    was_tried=False,
)
NOT_REACHED = StoreOutcome(
    state=DeliveryState.PENDING,
    status="not sent: the association broke at another object",
    was_tried=False,
)


class Peer(Protocol):
    """A destination for result objects."""

    def store(self, offers: Sequence[Offer]) -> Iterable[Sequence[StoreOutcome]]:
        """Send Part 10 files unchanged.

        Parameters
        ----------
        offers
            In the order in which they are to be sent.

        Returns
        -------
        Iterable[Sequence[StoreOutcome]]
            For each offer one outcome per object, in the same order. An object that fails does not
            stop the others, unless there is another form of them. Better one by one, as the peer
            answers: each is on record before the next is sent. It may end before the offers do;
            those that are left were not tried.

        Raises
        ------
        PeerUnreachable
            When nothing could be sent at all; PeerRefusesUs where a person has to do something.
        """
        ...
