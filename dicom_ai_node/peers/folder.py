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
from dicom_ai_node.peers.peer import ALTERED, UNREADABLE, Offer, StoreOutcome
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

    def store(self, offers: Sequence[Offer]) -> Sequence[Sequence[StoreOutcome]]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return [self._offer(offer) for offer in offers]
        except OSError as error:
            raise PeerUnreachable(f"the folder cannot be written ({error.strerror})") from error

    def _offer(self, offer: Offer) -> Sequence[StoreOutcome]:
        if not offer.is_sound():
            return [ALTERED] * len(offer.paths)
        return [self._store(path) for path in offer.paths]

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
