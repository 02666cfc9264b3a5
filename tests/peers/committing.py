"""A PACS that is asked to commit to what it has: it may forget, be late, or never answer."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE, AllStoragePresentationContexts, build_context, build_role, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicom_ai_node.config.peers import CommitmentSettings, DimsePeer
from dicom_ai_node.peers.association import leave_answers
from tests.peers.pacs import SYNTAXES


@dataclass
class CommittingPacs:
    """`held` is what it has, and `came` what came, as often as it did.

    It reports on the association of the request, unless it is `silent` or `node_port` says where
    to: `reason` is its FailureReason for an instance.
    """

    silent: bool = False
    node_port: int | None = None
    commits: bool = True  # False: it knows nothing of storage commitment
    action_status: int = 0x0000
    store_status: int = 0x0000
    reason: Callable[[str], int] | None = None
    on_association: Callable[[], None] = lambda: None  # for commitment, before it is accepted
    on_request: Callable[[], None] = lambda: None  # before it is answered
    port: int = 0
    held: set[str] = field(default_factory=set)
    came: list[tuple[str, bytes]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # of answers to its reports
    reported: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def settings(self, *, answer_s: float = 3600) -> DimsePeer:
        return DimsePeer(
            kind="dimse",
            ae_title="PACS",
            host="127.0.0.1",
            port=self.port,
            timeout_s=5,
            commitment=CommitmentSettings(answer_s=answer_s),
        )

    @contextmanager
    def running(self) -> Iterator["CommittingPacs"]:
        ae = AE(ae_title="PACS")
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, list(SYNTAXES))
        if self.commits:
            ae.add_supported_context(StorageCommitmentPushModel, list(SYNTAXES))
        handlers = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_ACTION, self._on_action),
        ]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            server.shutdown()

    def _on_requested(self, event: evt.Event) -> None:
        proposed = {each.abstract_syntax for each in event.assoc.requestor.requested_contexts}
        if StorageCommitmentPushModel in proposed:
            self.on_association()

    def _on_store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.came.append((uid, event.encoded_dataset(include_meta=False)))
        if self.store_status == 0x0000:
            self.held.add(uid)
        return self.store_status

    def _on_action(self, event: evt.Event) -> tuple[int, None]:
        ds = event.action_information
        asked = {
            str(each.ReferencedSOPInstanceUID): str(each.ReferencedSOPClassUID)
            for each in ds.ReferencedSOPSequence
        }
        self.requests.append((str(ds.TransactionUID), asked))
        self.on_request()
        if self.action_status == 0x0000 and not self.silent:
            thread = threading.Thread(target=self._report, args=(event.assoc,), daemon=True)
            thread.start()
        return self.action_status, None

    def _report(self, association: object) -> None:
        if self.node_port is not None:
            self.report(self.node_port)
            return
        leave_answers(association)
        answer, _ = association.send_n_event_report(*self._message(*self.requests[-1]))
        self._said(answer)

    def report(
        self,
        node_port: int,
        *,
        transaction: str | None = None,
        reasons: Mapping[str, int] | None = None,
        ae_title: str = "PACS",
    ) -> int:
        """On an association of its own, as its SCP; the status of the answer.

        What is left out is as in the last request.
        """
        of, asked = self.requests[-1]
        judged = self._judged(asked) if reasons is None else reasons
        return report(
            node_port,
            event_information(transaction or of, asked, judged),
            event_type=2 if any(judged.values()) else 1,
            ae_title=ae_title,
            said=self._said,
        )

    def _judged(self, asked: Mapping[str, str]) -> dict[str, int]:
        reason = self.reason or (lambda uid: 0 if uid in self.held else 0x0112)
        return {uid: reason(uid) for uid in asked}

    def _message(self, transaction: str, asked: Mapping[str, str]) -> tuple[object, ...]:
        judged = self._judged(asked)
        return (
            event_information(transaction, asked, judged),
            2 if any(judged.values()) else 1,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )

    def _said(self, answer: Dataset) -> None:
        self.statuses.append(int(answer.get("Status", -1)))
        self.reported.release()


def event_information(
    transaction: str, asked: Mapping[str, str], judged: Mapping[str, int]
) -> Dataset:
    """PS3.4 Table J.3-3; `asked` has the SOP classes."""
    ds = Dataset()
    ds.TransactionUID = transaction
    committed = [_item(asked, uid) for uid, reason in judged.items() if not reason]
    failed = [_item(asked, uid, reason) for uid, reason in judged.items() if reason]
    if committed:
        ds.ReferencedSOPSequence = committed
    if failed:
        ds.FailedSOPSequence = failed
    return ds


def _item(asked: Mapping[str, str], uid: str, reason: int = 0) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = asked.get(uid, str(SegmentationStorage))
    item.ReferencedSOPInstanceUID = uid
    if reason:
        item.FailureReason = reason
    return item


def report(
    node_port: int,
    ds: Dataset,
    *,
    event_type: int = 1,
    ae_title: str = "PACS",
    syntax: str = ExplicitVRLittleEndian,
    instance: str = StorageCommitmentPushModelInstance,
    said: Callable[[Dataset], None] = lambda _: None,
) -> int:
    """The status of the node's answer, given in the role of the SCP and requestor."""
    ae = AE(ae_title=ae_title)
    association = ae.associate(
        "127.0.0.1",
        node_port,
        contexts=[build_context(StorageCommitmentPushModel, [syntax])],
        ae_title="AI_NODE",
        ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
    )
    assert association.is_established
    leave_answers(association)
    (context,) = association.accepted_contexts
    assert context.as_scp
    assert not context.as_scu
    answer, _ = association.send_n_event_report(
        ds, event_type, StorageCommitmentPushModel, instance
    )
    association.release()
    said(answer)
    return int(answer.Status)
