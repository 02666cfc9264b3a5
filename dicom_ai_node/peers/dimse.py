"""C-STORE and C-ECHO as an SCU, on pynetdicom."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.status import code_to_category

from dicom_ai_node.config.settings import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.peer import UNREADABLE, StoreOutcome
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_DUPLICATE_SOP_INSTANCE = 0x0111  # the peer has it: the same UID is the same object (P7)
# PS3.4 B.2.3 and PS3.7 Annex C: cured by time; every other failure is for good
_TRANSIENT = frozenset({0x0110, 0x0213, *range(0xA700, 0xA800)})


class DimseStore:
    """One association per call, with contexts for exactly the objects at hand."""

    def __init__(self, settings: DimsePeer, *, calling_ae_title: str) -> None:
        self.settings = settings
        self.calling_ae_title = calling_ae_title

    def store(self, objects: Sequence[Path]) -> Sequence[StoreOutcome]:
        datasets = [_read(path) for path in objects]
        wanted = {(ds.SOPClassUID, _syntax(ds)) for ds in datasets if ds is not None}
        if not wanted:
            return [UNREADABLE] * len(objects)
        with self._associate(wanted) as association:
            return [UNREADABLE if ds is None else _send(association, ds) for ds in datasets]

    def echo(self) -> None:
        """Raises PeerUnreachable unless the peer answers C-ECHO with success."""
        with self._associate({(Verification, ImplicitVRLittleEndian)}) as association:
            status = association.send_c_echo() if association.is_established else Dataset()
            if status.get("Status") != 0x0000:
                raise PeerUnreachable(f"{self._name()} did not answer C-ECHO with success")

    @contextmanager
    def _associate(self, wanted: set[tuple[UID, UID]]) -> Iterator[Association]:
        ae = AE(ae_title=self.calling_ae_title)
        ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.connection_timeout = self.settings.connect_timeout_s
        ae.acse_timeout = self.settings.connect_timeout_s
        ae.dimse_timeout = ae.network_timeout = self.settings.timeout_s
        association = ae.associate(
            self.settings.host,
            self.settings.port,
            contexts=[
                build_context(sop_class, list(_NATIVE) if syntax in _NATIVE else [syntax])
                for sop_class, syntax in sorted(wanted)
            ],
            ae_title=self.settings.ae_title,
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
        peer = self.settings
        return f"{peer.ae_title} at {peer.host}:{peer.port}"


def _read(path: Path) -> Dataset | None:
    try:
        return pydicom.dcmread(path)
    except (OSError, EOFError, InvalidDicomError):
        return None


def _syntax(ds: Dataset) -> UID:
    syntax: UID = ds.file_meta.TransferSyntaxUID
    return ExplicitVRLittleEndian if syntax in _NATIVE else syntax


def _send(association: Association, ds: Dataset) -> StoreOutcome:
    if not any(cx.abstract_syntax == ds.SOPClassUID for cx in association.accepted_contexts):
        return StoreOutcome(
            state=DeliveryState.REFUSED,
            status=f"the peer takes no {UID(ds.SOPClassUID).name} in this transfer syntax",
        )
    if not association.is_established:
        return StoreOutcome(state=DeliveryState.PENDING, status="the association broke")
    answer = association.send_c_store(ds)
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
