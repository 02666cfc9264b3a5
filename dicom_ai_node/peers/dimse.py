"""C-STORE and C-ECHO as an SCU, on pynetdicom."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.association import associate, name_of
from dicom_ai_node.peers.peer import (
    ALTERED,
    NOT_REACHED,
    NOT_SENT,
    NOT_WANTED,
    UNREADABLE,
    Offer,
    StoreOutcome,
)
from dicom_ai_node.peers.rejection import rejected
from dicom_ai_node.peers.store_status import outcome_of

_Kinds = Mapping[Path, tuple[UID, UID] | None]
# `timeout_s` is for the answer; before it the object must get there, over a slow line too
_SLOWEST_BYTES_PER_S = 100_000
_GREATEST_MESSAGE_ID = 0xFFFF


class DimseStore:
    """One association per call, with contexts for exactly the objects at hand."""

    def __init__(self, settings: DimsePeer, *, calling_ae_title: str) -> None:
        self.settings = settings
        self.calling_ae_title = calling_ae_title

    def store(self, offers: Sequence[Offer]) -> Iterator[Sequence[StoreOutcome]]:
        """Each offer is answered for before the next is begun; ends where the association does."""
        kinds = {path: _kind(path) for offer in offers for path in offer.paths}
        wanted = {kind for kind in kinds.values() if kind is not None}
        if not wanted:
            yield from ([UNREADABLE] * len(offer.paths) for offer in offers)
            return
        # one syntax a context: the peer cannot prefer one for which the object must be rewritten
        fallback = {(sop_class, ImplicitVRLittleEndian) for sop_class, _ in wanted}
        with self._associate(wanted | fallback) as association:
            sending = _Sending(association, kinds, self.settings)
            for offer in offers:
                if sending.has_broken:
                    return
                yield sending.offer(offer)

    def echo(self, offered: Collection[UID] = ()) -> frozenset[UID]:
        """Raises PeerUnreachable unless the peer answers C-ECHO with success; which of these SOP
        classes it would take no instance of."""
        wanted = {(each, ExplicitVRLittleEndian) for each in offered}
        wanted |= {(each, ImplicitVRLittleEndian) for each in (Verification, *offered)}
        with self._associate(wanted) as association:
            status = association.send_c_echo() if association.is_established else Dataset()
            if status.get("Status") != 0x0000:
                raise PeerUnreachable(f"{self._name()} did not answer C-ECHO with success")
            taken = {context.abstract_syntax for context in association.accepted_contexts}
            return frozenset(offered) - taken

    @contextmanager
    def _associate(self, wanted: set[tuple[UID, UID]]) -> Iterator[Association]:
        association = associate(
            self.settings,
            [build_context(sop_class, syntax) for sop_class, syntax in sorted(wanted)],
            calling_ae_title=self.calling_ae_title,
        )
        if association.is_rejected:
            raise rejected(
                association,
                self._name(),
                calling_ae_title=self.calling_ae_title,
                called_ae_title=self.settings.ae_title,
            )
        # a peer that accepts no context is there: it is the objects that it does not take
        if not association.is_established and not association.rejected_contexts:
            raise PeerUnreachable(f"{self._name()} does not answer")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _name(self) -> str:
        return name_of(self.settings)


@dataclass(slots=True)
class _Sending:
    """One association with what it was made for."""

    association: Association
    kinds: _Kinds
    settings: DimsePeer
    sent: int = 0
    went_silent: bool = False  # pynetdicom may take a moment to notice the end

    @property
    def has_broken(self) -> bool:
        """As opposed to one for which the peer accepted no context."""
        is_over = self.went_silent or not self.association.is_established
        return bool(self.association.accepted_contexts) and is_over

    def offer(self, offer: Offer) -> Sequence[StoreOutcome]:
        if not offer.is_wanted():
            return [NOT_WANTED] * len(offer.paths)
        if offer.or_else:  # the contexts tell before the first object is sent
            refused = [_refused(self.association, self.kinds[path]) for path in offer.paths]
            if any(refused):
                return [outcome or NOT_SENT for outcome in refused]
        if self.association.is_established and not offer.is_sound():
            return [ALTERED] * len(offer.paths)
        outcomes: list[StoreOutcome] = []
        for path in offer.paths:
            outcome = self._send(path)
            outcomes.append(outcome)
            if offer.or_else and outcome.form_refused:
                break
        return outcomes + [NOT_SENT] * (len(offer.paths) - len(outcomes))

    def _send(self, path: Path) -> StoreOutcome:
        kind = self.kinds[path]
        if kind is None:
            return UNREADABLE
        if refused := _refused(self.association, kind):
            return refused
        if self.has_broken:
            return self._not_reached()
        sop_class, syntax = kind
        is_rewritten = syntax not in _accepted(self.association, sop_class)
        # a path is sent as the bytes of the file, a data set is encoded anew
        _config.STORE_SEND_CHUNKED_DATASET = True
        content = pydicom.dcmread(path) if is_rewritten else path
        self.association.dimse_timeout = (
            self.settings.timeout_s + path.stat().st_size / _SLOWEST_BYTES_PER_S
        )
        try:
            answer = self.association.send_c_store(
                content, msg_id=self.sent % _GREATEST_MESSAGE_ID + 1
            )
        except RuntimeError:  # it broke since we looked
            return self._not_reached()
        reached(Step.OBJECT_SENT)
        self.sent += 1
        if "Status" not in answer:
            self.went_silent = True
            status = "no answer: the peer broke off, or took longer than timeout_s"
            return StoreOutcome(state=DeliveryState.PENDING, status=status)
        return outcome_of(answer)

    def _not_reached(self) -> StoreOutcome:
        if not self.sent:
            raise PeerUnreachable(f"{name_of(self.settings)} ended the association at once")
        return NOT_REACHED


def _kind(path: Path) -> tuple[UID, UID] | None:
    """SOP class and transfer syntax of a file; None when it cannot be read."""
    try:
        meta = read_file_meta_info(path)
        kind = meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID
    except (OSError, EOFError, InvalidDicomError, AttributeError):
        return None
    return kind


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
