"""C-STORE and C-ECHO as an SCU, on pynetdicom."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    LabelMapSegmentationStorage,
    Verification,
)
from pynetdicom.status import code_to_category

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.association import associate, name_of
from dicom_ai_node.peers.peer import ALTERED, NOT_SENT, UNREADABLE, Offer, StoreOutcome

_SOP_CLASS_NOT_SUPPORTED = 0x0122  # by some that have accepted a context for it
_DUPLICATE_SOP_INSTANCE = 0x0111  # the peer has it: the same UID is the same object (P7)
# PS3.4 B.2.3 and PS3.7 Annex C: cured by time; every other failure is for good
_TRANSIENT = frozenset({0x0110, 0x0213, *range(0xA700, 0xA800)})


class DimseStore:
    """One association per call, with contexts for exactly the objects at hand."""

    def __init__(self, settings: DimsePeer, *, calling_ae_title: str) -> None:
        self.settings = settings
        self.calling_ae_title = calling_ae_title

    def store(self, offers: Sequence[Offer]) -> Sequence[Sequence[StoreOutcome]]:
        kinds = {path: _kind(path) for offer in offers for path in offer.paths}
        wanted = {kind for kind in kinds.values() if kind is not None}
        if not wanted:
            return [[UNREADABLE] * len(offer.paths) for offer in offers]
        # one syntax a context: the peer cannot prefer one for which the object must be rewritten
        fallback = {(sop_class, ImplicitVRLittleEndian) for sop_class, _ in wanted}
        with self._associate(wanted | fallback) as association:
            return [_offer(association, offer, kinds) for offer in offers]

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


def _offer(
    association: Association, offer: Offer, kinds: Mapping[Path, tuple[UID, UID] | None]
) -> Sequence[StoreOutcome]:
    if offer.or_else:  # the contexts tell before the first object is sent
        refused = [_refused(association, kinds[path]) for path in offer.paths]
        if any(refused):
            return [outcome or NOT_SENT for outcome in refused]
    if association.is_established and not offer.is_sound():
        return [ALTERED] * len(offer.paths)
    outcomes: list[StoreOutcome] = []
    for path in offer.paths:
        outcome = _send(association, path, kinds[path])
        outcomes.append(outcome)
        if offer.or_else and outcome.form_refused:
            break
    return outcomes + [NOT_SENT] * (len(offer.paths) - len(outcomes))


def _accepted(association: Association, sop_class: UID) -> set[str]:
    return {
        cx.transfer_syntax[0]
        for cx in association.accepted_contexts
        if cx.abstract_syntax == sop_class
    }


def _refused(association: Association, kind: tuple[UID, UID] | None) -> StoreOutcome | None:
    """What the contexts say; native objects can be rewritten."""
    if kind is None:
        return None
    sop_class, syntax = kind
    accepted = _accepted(association, sop_class)
    if syntax in accepted or (accepted and syntax == ExplicitVRLittleEndian):
        return None
    return StoreOutcome(
        state=DeliveryState.REFUSED,
        status=f"the peer takes no {_name_of_class(sop_class)} in this transfer syntax",
        form_refused=True,
    )


def _name_of_class(sop_class: UID) -> str:
    """What pydicom 3.0 does not know as well."""
    is_label_map = sop_class == LabelMapSegmentationStorage
    return "Label Map Segmentation Storage" if is_label_map else sop_class.name


def _send(association: Association, path: Path, kind: tuple[UID, UID] | None) -> StoreOutcome:
    if kind is None:
        return UNREADABLE
    if refused := _refused(association, kind):
        return refused
    if not association.is_established:
        return StoreOutcome(state=DeliveryState.PENDING, status="the association broke")
    sop_class, syntax = kind
    is_rewritten = syntax not in _accepted(association, sop_class)
    # a path is sent as the bytes of the file, a data set is encoded anew
    _config.STORE_SEND_CHUNKED_DATASET = True
    answer = association.send_c_store(pydicom.dcmread(path) if is_rewritten else path)
    reached(Step.OBJECT_SENT)
    if "Status" not in answer:
        return StoreOutcome(state=DeliveryState.PENDING, status="no answer")
    return _outcome(int(answer.Status))


def _outcome(status: int) -> StoreOutcome:
    text = f"{status:04X}"
    if status == _DUPLICATE_SOP_INSTANCE or code_to_category(status) in ("Success", "Warning"):
        return StoreOutcome(state=DeliveryState.STORED, status=text)
    if status in _TRANSIENT:
        return StoreOutcome(state=DeliveryState.PENDING, status=text)
    return StoreOutcome(
        state=DeliveryState.REFUSED,
        status=text,
        form_refused=status == _SOP_CLASS_NOT_SUPPORTED,
    )
