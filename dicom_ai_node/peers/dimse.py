"""C-STORE and C-ECHO as an SCU, on pynetdicom."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.status import code_to_category

from dicom_ai_node.config.settings import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.association import associate, name_of
from dicom_ai_node.peers.peer import UNREADABLE, StoreOutcome

_DUPLICATE_SOP_INSTANCE = 0x0111  # the peer has it: the same UID is the same object (P7)
# PS3.4 B.2.3 and PS3.7 Annex C: cured by time; every other failure is for good
_TRANSIENT = frozenset({0x0110, 0x0213, *range(0xA700, 0xA800)})


class DimseStore:
    """One association per call, with contexts for exactly the objects at hand."""

    def __init__(self, settings: DimsePeer, *, calling_ae_title: str) -> None:
        self.settings = settings
        self.calling_ae_title = calling_ae_title

    def store(self, objects: Sequence[Path]) -> Sequence[StoreOutcome]:
        kinds = [_kind(path) for path in objects]
        wanted = {kind for kind in kinds if kind is not None}
        if not wanted:
            return [UNREADABLE] * len(objects)
        # one syntax a context: the peer cannot prefer one for which the object must be rewritten
        fallback = {(sop_class, ImplicitVRLittleEndian) for sop_class, _ in wanted}
        with self._associate(wanted | fallback) as association:
            return [
                UNREADABLE if kind is None else _send(association, path, *kind)
                for path, kind in zip(objects, kinds, strict=True)
            ]

    def echo(self) -> None:
        """Raises PeerUnreachable unless the peer answers C-ECHO with success."""
        with self._associate({(Verification, ImplicitVRLittleEndian)}) as association:
            status = association.send_c_echo() if association.is_established else Dataset()
            if status.get("Status") != 0x0000:
                raise PeerUnreachable(f"{self._name()} did not answer C-ECHO with success")

    @contextmanager
    def _associate(self, wanted: set[tuple[UID, UID]]) -> Iterator[Association]:
        association = associate(
            self.settings,
            [build_context(sop_class, syntax) for sop_class, syntax in sorted(wanted)],
            calling_ae_title=self.calling_ae_title,
        )
        # a peer that accepts no context is there: it is the objects that it does not take
        if not association.is_established and not association.rejected_contexts:
            how = "refused the association" if association.is_rejected else "does not answer"
            raise PeerUnreachable(f"{self._name()} {how}")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _name(self) -> str:
        return name_of(self.settings)


def _kind(path: Path) -> tuple[UID, UID] | None:
    """SOP class and transfer syntax of a file; None when it cannot be read."""
    try:
        meta = read_file_meta_info(path)
        kind = meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID
    except (OSError, EOFError, InvalidDicomError, AttributeError):
        return None
    return kind


def _send(association: Association, path: Path, sop_class: UID, syntax: UID) -> StoreOutcome:
    accepted = {
        cx.transfer_syntax[0]
        for cx in association.accepted_contexts
        if cx.abstract_syntax == sop_class
    }
    rewritten = syntax not in accepted and syntax == ExplicitVRLittleEndian
    if syntax not in accepted and not (rewritten and accepted):
        return StoreOutcome(
            state=DeliveryState.REFUSED,
            status=f"the peer takes no {sop_class.name} in this transfer syntax",
        )
    if not association.is_established:
        return StoreOutcome(state=DeliveryState.PENDING, status="the association broke")
    # a path is sent as the bytes of the file, a data set is encoded anew
    _config.STORE_SEND_CHUNKED_DATASET = True
    answer = association.send_c_store(pydicom.dcmread(path) if rewritten else path)
    if "Status" not in answer:
        return StoreOutcome(state=DeliveryState.PENDING, status="no answer")
    return _outcome(int(answer.Status))


def _outcome(status: int) -> StoreOutcome:
    text = f"{status:04X}"
    if status == _DUPLICATE_SOP_INSTANCE or code_to_category(status) in ("Success", "Warning"):
        return StoreOutcome(state=DeliveryState.STORED, status=text)
    if status in _TRANSIENT:
        return StoreOutcome(state=DeliveryState.PENDING, status=text)
    return StoreOutcome(state=DeliveryState.REFUSED, status=text)
