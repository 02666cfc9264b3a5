"""Storage Commitment Push Model as its SCU (PS3.4 Annex J): asking, and reading reports."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.association import associate, name_of
from dicom_ai_node.peers.commitment import Report, is_taken
from dicom_ai_node.uids import is_uid

REQUEST, ALL_COMMITTED, FAILURES_EXIST = 1, 1, 2  # PS3.4 Tables J.3-1 and J.3-2
SUCCESS, PROCESSING_FAILURE, NO_SUCH_EVENT_TYPE, INVALID_ARGUMENT_VALUE = (
    *(0x0000, 0x0110, 0x0113, 0x0115),  # PS3.7 10.1.1.1.8
)

_TICK_S = 0.1
# what pydicom raises on values that no peer should send
_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, NotImplementedError, OSError)


class NotAReport(ValueError):
    """The event information cannot be read, or names nothing."""


def ask(
    settings: DimsePeer,
    transaction_uid: str,
    references: Sequence[tuple[str, str]],
    *,
    calling_ae_title: str,
    take: Callable[[Report], bool],
    is_over: Callable[[], bool],
) -> None:
    """Request commitment; raises PeerUnreachable unless the peer has taken the request.

    A report may come on this association, which is left open for it until `is_over`. `take` is
    False for a report that answers no request of ours.
    """
    name = name_of(settings)
    syntaxes: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    context = build_context(StorageCommitmentPushModel, syntaxes)
    association = associate(settings, [context], calling_ae_title=calling_ae_title)
    answers = _Answers(take)
    for event, handler in answers.handlers:
        association.bind(event, handler)
    try:
        if not association.is_established or not association.accepted_contexts:
            raise PeerUnreachable(f"{name} takes no association for storage commitment")
        _request(association, name, transaction_uid, references)
        while association.is_established and (answers.is_under_way or not is_over()):
            time.sleep(_TICK_S)
    except RuntimeError:  # it ended meanwhile
        raise PeerUnreachable(f"{name} broke the association") from None
    finally:
        if association.is_established:
            association.release()


def _request(
    association: Association, name: str, uid: str, references: Sequence[tuple[str, str]]
) -> None:
    answer, _ = association.send_n_action(
        action_information(uid, references),
        REQUEST,
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
    )
    if "Status" not in answer:
        raise PeerUnreachable(f"{name} did not answer a request for storage commitment")
    if not is_taken(answer.Status):
        status = f"{answer.Status:04X}"
        raise PeerUnreachable(f"{name} refused a request for storage commitment with {status}")


def action_information(transaction_uid: str, references: Sequence[tuple[str, str]]) -> Dataset:
    """PS3.4 Table J.3-1."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        ds.ReferencedSOPSequence.append(item)
    return ds


def read_report(ds: Dataset) -> Report:
    """Event information (PS3.4 Table J.3-3), whatever its event type; raises NotAReport.

    What is in both sequences is not committed.
    """
    try:
        uid = str(ds.TransactionUID)
        committed = [_reference(item) for item in ds.get("ReferencedSOPSequence") or ()]
        failed = {
            _reference(item): int(item.FailureReason) or PROCESSING_FAILURE
            for item in ds.get("FailedSOPSequence") or ()
        }
    except _UNREADABLE:
        raise NotAReport("the data set cannot be read") from None
    reasons = dict.fromkeys(committed, 0) | failed
    if not reasons or not all(map(is_uid, (uid, *(each for _, each in reasons)))):
        raise NotAReport("a UID is missing or not valid")
    return Report(transaction_uid=uid, references=[*reasons], reasons=[*reasons.values()])


def _reference(item: Dataset) -> tuple[str, str]:
    return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)


class _Answers:
    """Reports on the association of their request.

    pynetdicom serves them in threads of their own: a release before the answer is on its way would
    break the association.
    """

    def __init__(self, take: Callable[[Report], bool]) -> None:
        self._take = take
        self._open = 0
        self._encoded = 0  # answers of which nothing was sent yet
        self._lock = threading.Lock()

    @property
    def is_under_way(self) -> bool:
        return self._open > 0

    @property
    def handlers(self) -> Sequence[tuple[Any, Callable[[evt.Event], Any]]]:
        return (
            (evt.EVT_N_EVENT_REPORT, self._on_report),
            (evt.EVT_DIMSE_SENT, self._on_message_sent),
            (evt.EVT_PDU_SENT, self._on_pdu_sent),
        )

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        """Trouble in it is answered 0110 by pynetdicom."""
        with self._lock:
            self._open += 1
        if event.event_type not in (ALL_COMMITTED, FAILURES_EXIST):
            return NO_SUCH_EVENT_TYPE, None
        try:
            report = read_report(event.event_information)
        except NotAReport:
            return INVALID_ARGUMENT_VALUE, None
        return (SUCCESS if self._take(report) else INVALID_ARGUMENT_VALUE), None

    def _on_message_sent(self, event: evt.Event) -> None:
        """It is encoded, and its PDUs come next."""
        with self._lock:
            self._encoded += isinstance(event.message, N_EVENT_REPORT_RSP)

    def _on_pdu_sent(self, event: evt.Event) -> None:
        with self._lock:
            if isinstance(event.pdu, P_DATA_TF) and self._encoded:
                self._encoded -= 1
                self._open = max(self._open - 1, 0)
