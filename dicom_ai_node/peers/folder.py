"""A folder as a destination: files appear whole, under the UID that the node gave the object."""

import filecmp
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from dicom_ai_node.config.peers import FolderPeer
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.peer import ALTERED, NOT_WANTED, UNREADABLE, Offer, StoreOutcome
from dicom_ai_node.spool import durable_write
from dicom_ai_node.uids import is_uid

_PIECE = 1 << 20
_WRITTEN = StoreOutcome(state=DeliveryState.STORED, status="written")
_ANOTHER = StoreOutcome(
    state=DeliveryState.REFUSED,
    status="another file has this object's name in the folder, and is left as it is: move it away, "
    "then `jobs retry`",
)


class FolderStore:
    """Takes every form."""

    def __init__(self, settings: FolderPeer) -> None:
        self.folder = settings.path.absolute()

    def store(self, offers: Sequence[Offer]) -> Iterator[Sequence[StoreOutcome]]:
        """Each offer is answered for before the next is begun; ends where nothing can be written,
        for whoever watches the folder may have taken what was."""
        has_answered = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for offer in offers:
                yield self._offer(offer)
                has_answered = True
        except OSError as error:
            if not has_answered:
                raise PeerUnreachable(_why_not(error)) from error

    def _offer(self, offer: Offer) -> Sequence[StoreOutcome]:
        if not offer.is_wanted():
            return [NOT_WANTED] * len(offer.paths)
        if not offer.is_sound():
            return [ALTERED] * len(offer.paths)
        outcomes: list[StoreOutcome] = []
        for path in offer.paths:
            try:
                outcomes.append(self._store(path))
            except OSError as error:
                if not outcomes:
                    raise
                later = StoreOutcome(state=DeliveryState.PENDING, status=_why_not(error))
                return outcomes + [later] * (len(offer.paths) - len(outcomes))
        return outcomes

    def _store(self, path: Path) -> StoreOutcome:
        uid = _uid(path)
        if uid is None:
            return UNREADABLE
        if not is_uid(uid):
            return StoreOutcome(state=DeliveryState.REFUSED, status="the object has no valid UID")
        target = self.folder / f"{uid}.dcm"
        if not target.exists():
            # beside it: a rename within one file system is whole
            part = self.folder / f".{uid}.part"
            part.unlink(missing_ok=True)  # of a killed process: one process has the deliver role
            durable_write(target, _pieces(path), part)
        elif not filecmp.cmp(path, target, shallow=False):
            return _ANOTHER
        reached(Step.OBJECT_SENT)
        return _WRITTEN


def _why_not(error: OSError) -> str:
    return f"the folder cannot be written ({error.strerror})"


def _uid(path: Path) -> str | None:
    """None when it cannot be read."""
    try:
        return str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
    except (OSError, EOFError, InvalidDicomError):
        return None


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
