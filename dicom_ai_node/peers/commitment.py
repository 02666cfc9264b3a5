"""Reports of storage commitment: what they say, and an association of our own to say it on."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from pynetdicom.status import code_to_category

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.association import associate, name_of

_ALL_COMMITTED, _FAILURES_EXIST = 1, 2  # PS3.4 Table J.3-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An N-EVENT-REPORT; `reasons` has a FailureReason for each reference, 0: committed."""

    transaction_uid: str
    references: Sequence[tuple[str, str]]  # SOP Class and SOP Instance UID
    reasons: Sequence[int]

    @property
    def event_type(self) -> int:
        return _FAILURES_EXIST if any(self.reasons) else _ALL_COMMITTED

    def event_information(self) -> Dataset:
        """PS3.4 Table J.3-3; a sequence without items is left out."""
        ds = Dataset()
        ds.TransactionUID = self.transaction_uid
        judged = list(zip(self.references, self.reasons, strict=True))
        committed = [_item(*reference) for reference, reason in judged if not reason]
        failed = [_item(*reference, reason) for reference, reason in judged if reason]
        if committed:
            ds.ReferencedSOPSequence = committed
        if failed:
            ds.FailedSOPSequence = failed
        return ds


def _item(sop_class_uid: str, sop_instance_uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    if reason:
        item.FailureReason = reason
    return item


def is_taken(status: int) -> bool:
    """True for a status by which a peer says that it has the report."""
    return code_to_category(status) in ("Success", "Warning")


def send(settings: DimsePeer, report: Report, *, calling_ae_title: str) -> None:
    """Report on a new association, as SCP and requestor (PS3.4 J.3.3); raises PeerUnreachable."""
    name = name_of(settings)
    syntaxes: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    association = associate(
        settings,
        [build_context(StorageCommitmentPushModel, syntaxes)],
        calling_ae_title=calling_ae_title,
        # without it, who asks for an association is its SCU (PS3.7 D.3.3.4)
        roles=[build_role(StorageCommitmentPushModel, scp_role=True)],
    )
    try:
        if not association.is_established or not association.accepted_contexts:
            raise PeerUnreachable(f"{name} takes no association for storage commitment")
        answer, _ = association.send_n_event_report(
            report.event_information(),
            report.event_type,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    except RuntimeError:  # it ended meanwhile
        raise PeerUnreachable(f"{name} broke the association") from None
    finally:
        if association.is_established:
            association.release()
    if "Status" not in answer:
        raise PeerUnreachable(f"{name} did not answer a report")
    if not is_taken(answer.Status):
        raise PeerUnreachable(f"{name} refused a report with status {answer.Status:04X}")
