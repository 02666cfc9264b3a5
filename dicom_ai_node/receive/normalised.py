"""The services of N-ACTION, N-EVENT-REPORT, N-CREATE and N-SET on one association: storage
commitment in both directions, and notifications."""

from pynetdicom.dsutils import encode

from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive import command as dimse
from dicom_ai_node.receive.action import Action
from dicom_ai_node.receive.answer import ActionStatus, Answer
from dicom_ai_node.receive.command import Command
from dicom_ai_node.receive.commitment import Commitments
from dicom_ai_node.receive.commitment_report import CommitmentReport, Reports
from dicom_ai_node.receive.commitment_request import REQUEST_STORAGE_COMMITMENT, SOP_INSTANCE_UID
from dicom_ai_node.receive.negotiation import NOTIFICATIONS, STORAGE_COMMITMENT
from dicom_ai_node.receive.notification import Notification
from dicom_ai_node.receive.outbox import Outbox
from dicom_ai_node.receive.store import Refused
from dicom_ai_node.receive.terms import DataSet, Terms
from dicom_ai_node.receive.wire import UNEXPECTED_PARAMETER, ProtocolError, Wire


class Normalised:
    """Used by the thread of the association alone, which alone writes to the wire."""

    def __init__(
        self,
        wire: Wire,
        terms: Terms,
        database: Database,
        commitments: Commitments,
        reports: Reports,
    ) -> None:
        self._wire = wire
        self._terms = terms
        self._database = database
        self._commitments = commitments
        self._reports = reports
        self._outbox = Outbox()
        self._report_context = 0

    def end(self) -> None:
        """What was not reported on this association is reported on one of our own."""
        self._commitments.returned(self._outbox.close())

    def is_report_due(self) -> bool:
        """A request was taken, and its report is yet to be sent."""
        return self._outbox.is_expecting()

    def begin(self, field: int, context_id: int, request: Command) -> DataSet | None:
        """None for what is no request of such a service, or is not served in this context."""
        service = self._terms.contexts[context_id].abstract_syntax
        if field == dimse.N_ACTION_RQ and service == STORAGE_COMMITMENT:
            return self._action(context_id, request)
        if field == dimse.N_EVENT_REPORT_RQ and service == STORAGE_COMMITMENT:
            return self._commitment_report(context_id, request)
        if field in (dimse.N_CREATE_RQ, dimse.N_SET_RQ) and service in NOTIFICATIONS:
            return self._notification(context_id, request)
        return None

    def _action(self, context_id: int, request: Command) -> DataSet:
        refused: tuple[ActionStatus, str] | None = None
        if "commitment" not in self._terms.may:
            refused = ActionStatus.NOT_AUTHORIZED, "may not ask for storage commitment here"
        elif request.text(dimse.REQUESTED_SOP_CLASS_UID) != STORAGE_COMMITMENT:
            refused = ActionStatus.NO_SUCH_SOP_CLASS, "another SOP class than that of the context"
        elif request.text(dimse.REQUESTED_SOP_INSTANCE_UID) != SOP_INSTANCE_UID:
            refused = ActionStatus.NO_SUCH_SOP_INSTANCE, "not the well-known SOP instance"
        elif request.number(dimse.ACTION_TYPE_ID) != REQUEST_STORAGE_COMMITMENT:
            refused = ActionStatus.NO_SUCH_ACTION, "no such action type"
        if refused is not None:
            return Refused(Answer(*refused))
        self._report_context = context_id
        return Action(
            self._commitments,
            self._outbox,
            calling_ae_title=self._terms.calling_ae_title,
            called_ae_title=self._terms.called_ae_title,
            transfer_syntax=self._terms.contexts[context_id].transfer_syntax,
        )

    def _notification(self, context_id: int, request: Command) -> DataSet:
        context = self._terms.contexts[context_id]
        return Notification(
            self._database,
            request,
            sop_class_uid=context.abstract_syntax,
            transfer_syntax=context.transfer_syntax,
        )

    def _commitment_report(self, context_id: int, request: Command) -> DataSet:
        refused = self._reports.refusal(request, self._terms.may)
        if refused is not None:
            return Refused(refused)
        return CommitmentReport(
            self._reports,
            calling_ae_title=self._terms.calling_ae_title,
            transfer_syntax=self._terms.contexts[context_id].transfer_syntax,
        )

    def send_report(self) -> bool:
        """An N-EVENT-REPORT-RQ (PS3.7 10.3.1), in the context in which it was asked for, if one
        was judged; True when it is sent."""
        ready = self._outbox.take()
        if ready is None:
            return False
        message_id, report = ready
        command = dimse.encode(
            [
                (dimse.AFFECTED_SOP_CLASS_UID, STORAGE_COMMITMENT),
                (dimse.COMMAND_FIELD, dimse.N_EVENT_REPORT_RQ),
                (dimse.MESSAGE_ID, message_id),
                (dimse.COMMAND_DATA_SET_TYPE, dimse.DATA_SET),
                (dimse.AFFECTED_SOP_INSTANCE_UID, SOP_INSTANCE_UID),
                (dimse.EVENT_TYPE_ID, report.event_type),
            ]
        )
        syntax = self._terms.contexts[self._report_context].transfer_syntax
        information = encode(
            report.event_information(),
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            syntax.is_deflated,
        )
        assert information is not None  # noqa: S101 — it is made of UIDs that were checked
        for content, is_command in ((command, True), (information, False)):
            for pdu in dimse.pdus(
                self._report_context,
                content,
                is_command=is_command,
                max_pdu=self._terms.max_pdu,
            ):
                self._wire.send(pdu)
        return True

    def answered(self, response: Command) -> None:
        """The peer's answer to a report (PS3.4 J.3.3)."""
        commitment_id = self._outbox.answered(response.number(dimse.MESSAGE_ID_RESPONDED_TO))
        if commitment_id is None:
            raise ProtocolError(UNEXPECTED_PARAMETER, "an answer to nothing")
        self._commitments.answered(commitment_id, response.number(dimse.STATUS))
