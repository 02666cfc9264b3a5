"""An association that was accepted, from its first message to its end, in one thread.

pynetdicom reads and writes what is negotiated; what flows then is read here, straight from the
socket into the spool. Its own association would look for work a thousand times a second in two
threads, and hold each object in memory.
"""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dicom_ai_node.config.settings import LimitsSettings
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive import command as dimse
from dicom_ai_node.receive.answer import Answer, Status, in_books
from dicom_ai_node.receive.brought import Brought
from dicom_ai_node.receive.command import Command
from dicom_ai_node.receive.commitment import Commitments
from dicom_ai_node.receive.commitment_report import Reports
from dicom_ai_node.receive.negotiation import (
    NOTIFICATIONS,
    STORAGE_COMMITMENT,
    VERIFICATION,
)
from dicom_ai_node.receive.normalised import Normalised
from dicom_ai_node.receive.store import TOO_LARGE, Message, Refused, Store, TooLarge
from dicom_ai_node.receive.store_counts import StoreCounts
from dicom_ai_node.receive.terms import DataSet, Terms
from dicom_ai_node.receive.wire import (
    ABORT,
    HEADER,
    INVALID_PARAMETER,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    UNEXPECTED_PARAMETER,
    UNEXPECTED_PDU,
    Closed,
    Late,
    ProtocolError,
    Wire,
)

log = get_logger(__name__)

_PDV = struct.Struct(">LBB")
_IS_COMMAND, _IS_LAST = 0x01, 0x02
_SLOW_AFTER_S = 30  # a rate is only judged over a while
_COMMIT_BEFORE_RELEASE_S = 15.0
_REPORT_TICK_S = 0.1  # while a peer waits for a report of storage commitment
_NO_STORAGE = (VERIFICATION, STORAGE_COMMITMENT, *NOTIFICATIONS)
_REFUSALS = {  # what the log calls it
    dimse.N_ACTION_RQ: "commitment_refused",
    dimse.N_CREATE_RQ: "notification_refused",
    dimse.N_SET_RQ: "notification_refused",
    dimse.N_EVENT_REPORT_RQ: "commitment_report_refused",
}
_BUG = Answer(Status.OUT_OF_RESOURCES, "internal error")


@dataclass(slots=True)
class _UnderWay:
    """The message whose data set is coming."""

    command: Command
    context_id: int
    data_set: DataSet
    began_at: float = field(default_factory=time.monotonic)
    came: int = 0


class Association:
    """Serves stores, echoes, storage commitment and notifications.

    Until the peer leaves or breaks the rules.
    """

    def __init__(
        self,
        wire: Wire,
        terms: Terms,
        store: Store,
        commitments: Commitments,
        reports: Reports,
        limits: LimitsSettings,
        says_something: Callable[[float], bool],
    ) -> None:
        """`says_something` waits so many seconds at most for the peer; True when it is heard."""
        self._wire = wire
        self._says_something = says_something
        self._terms = terms
        self._store = store
        self._limits = limits
        self._command = bytearray()
        self._command_context = 0
        self._under_way: _UnderWay | None = None
        self._brought = Brought(store.ledger)
        self._counts = StoreCounts(terms.calling_ae_title)
        self._normalised = Normalised(wire, terms, store.database, commitments, reports)
        self.idle_since: float | None = time.monotonic()  # None within a message

    def serve(self) -> None:
        """Returns after a release; raises Closed (an abort, too), Late or ProtocolError."""
        try:
            while True:
                if self._normalised.is_report_due():
                    self._report()
                kind, body = self._wire.read(wait_s=self._wait_s())
                if kind == P_DATA:
                    self._p_data(body)
                elif kind == RELEASE_RQ:
                    self._drop()
                    self._brought.end()
                    self._store.ledger.settle(_COMMIT_BEFORE_RELEASE_S)
                    self._wire.send(HEADER.pack(RELEASE_RP, 4) + bytes(4))
                    return
                elif kind == ABORT:
                    raise Closed
                else:
                    raise ProtocolError(UNEXPECTED_PDU, "a PDU out of turn")
        finally:
            self._drop()
            self._brought.end()
            self._normalised.end()

    def _wait_s(self) -> float:
        """Until the next PDU must begin; raises Late when a C-STORE takes too long, or trickles."""
        under_way = self._under_way
        if under_way is None:
            return self._limits.idle_s
        for_s = time.monotonic() - under_way.began_at
        slow = under_way.came < self._limits.store_bytes_per_s * for_s
        if for_s > self._limits.store_s or (slow and for_s > _SLOW_AFTER_S):
            raise Late
        return min(self._limits.idle_s, self._limits.store_s)

    def _drop(self) -> None:
        if self._under_way is not None:
            self._under_way.data_set.drop()
            self._under_way = None

    def _p_data(self, body: memoryview) -> None:
        """Presentation data values (PS3.8 9.3.5.1, and Annex E for the control header)."""
        at, end = 0, len(body)
        if not end:
            raise ProtocolError(INVALID_PARAMETER, "an empty P-DATA-TF")
        while at < end:
            if end - at < _PDV.size:
                raise ProtocolError(INVALID_PARAMETER, "a PDV is cut off")
            length, context_id, control = _PDV.unpack_from(body, at)
            next_at = at + 4 + length
            if length < 2 or next_at > end:
                raise ProtocolError(INVALID_PARAMETER, "a PDV of a wrong length")
            fragment = body[at + _PDV.size : next_at]
            if control & _IS_COMMAND:
                self._command_fragment(context_id, fragment, is_last=bool(control & _IS_LAST))
            else:
                self._data_fragment(context_id, fragment, is_last=bool(control & _IS_LAST))
            at = next_at

    def _command_fragment(self, context_id: int, data: memoryview, *, is_last: bool) -> None:
        if self._under_way is not None:
            raise ProtocolError(UNEXPECTED_PARAMETER, "a command within a data set")
        if context_id not in self._terms.contexts:
            raise ProtocolError(UNEXPECTED_PARAMETER, "a context that was not accepted")
        if self._command and context_id != self._command_context:
            raise ProtocolError(UNEXPECTED_PARAMETER, "another context within a command")
        if len(self._command) + len(data) > dimse.MAX_COMMAND:
            raise ProtocolError(INVALID_PARAMETER, "a command set too long")
        self.idle_since = None
        self._command_context = context_id
        self._command += data
        if is_last:
            request = Command(bytes(self._command))
            self._command.clear()
            self._dispatch(context_id, request)

    def _data_fragment(self, context_id: int, data: memoryview, *, is_last: bool) -> None:
        under_way = self._under_way
        if under_way is None or context_id != under_way.context_id:
            raise ProtocolError(UNEXPECTED_PARAMETER, "a data set without its command")
        under_way.came += len(data)
        try:
            answer = self._feed(under_way, data, is_last=is_last)
        except TooLarge:
            self._count(under_way, TOO_LARGE)
            self._answer(context_id, under_way.command, TOO_LARGE)
            raise ProtocolError(UNEXPECTED_PDU, "an object larger than allowed") from None
        if answer is not None:
            self._under_way = None
            self._count(under_way, answer)
            self._answer(context_id, under_way.command, answer)

    def _count(self, under_way: _UnderWay, answer: Answer) -> None:
        """In the books, an instance that is not stored; one that is, is counted with its row."""
        if under_way.command.number(dimse.COMMAND_FIELD) != dimse.C_STORE_RQ:
            return
        took_s = time.monotonic() - under_way.began_at
        self._counts.answered(answer, came=under_way.came, seconds=took_s)
        if answer.status is not Status.SUCCESS:
            self._store.ledger.count(in_books(answer))

    def _feed(self, under_way: _UnderWay, data: memoryview, *, is_last: bool) -> Answer | None:
        """The DIMSE boundary: whatever goes wrong with one instance, the association goes on."""
        try:
            under_way.data_set.feed(data)
            return under_way.data_set.finish() if is_last else None
        except TooLarge:
            raise
        except Exception:
            log.exception("instance_not_stored", cause="bug")
            under_way.data_set.drop()
            under_way.data_set = Refused(_BUG)
            return _BUG if is_last else None

    def _dispatch(self, context_id: int, request: Command) -> None:
        """What a command asks for; anything that was not negotiated ends the association (B9)."""
        field = request.number(dimse.COMMAND_FIELD)
        has_data = request.number(dimse.COMMAND_DATA_SET_TYPE) != dimse.NO_DATA_SET
        service = self._terms.contexts[context_id].abstract_syntax
        if field == dimse.C_STORE_RQ and has_data and service not in _NO_STORAGE:
            request.number(dimse.MESSAGE_ID)  # without which it could not be answered
            self._under_way = _UnderWay(request, context_id, self._begin_store(context_id, request))
        elif field == dimse.C_ECHO_RQ and service == VERIFICATION and not has_data:
            allowed = "echo" in self._terms.may
            status = Status.SUCCESS if allowed else Status.NOT_AUTHORIZED
            self._answer(context_id, request, Answer(status))
        elif (begun := self._normalised.begin(field, context_id, request)) is not None:
            if has_data:
                self._under_way = _UnderWay(request, context_id, begun)
            else:
                self._answer(context_id, request, begun.finish())
        elif field == dimse.N_EVENT_REPORT_RSP and service == STORAGE_COMMITMENT and not has_data:
            self._normalised.answered(request)
            self.idle_since = time.monotonic()
        elif field == dimse.C_CANCEL_RQ and not has_data:
            self.idle_since = time.monotonic()  # there is nothing that could be cancelled
        else:
            raise ProtocolError(UNEXPECTED_PARAMETER, "a command that is not served here")

    def _begin_store(self, context_id: int, request: Command) -> DataSet:
        context = self._terms.contexts[context_id]
        message = Message(
            sop_class_uid=request.text(dimse.AFFECTED_SOP_CLASS_UID),
            sop_instance_uid=request.text(dimse.AFFECTED_SOP_INSTANCE_UID),
            context_sop_class_uid=context.abstract_syntax,
            transfer_syntax_uid=context.transfer_syntax,
            calling_ae_title=self._terms.calling_ae_title,
            called_ae_title=self._terms.called_ae_title,
        )
        if "store" not in self._terms.may:
            return Refused(Answer(Status.NOT_AUTHORIZED, "may not store here"))
        return self._store.begin(message, self._brought)

    def _report(self) -> None:
        """Send what was judged: by this thread, so never within a message of ours or of the peer's.

        Until the peer says something; then that is read first.
        """
        until = time.monotonic() + self._limits.idle_s
        while self._normalised.is_report_due() and time.monotonic() < until:
            if self._under_way is not None or self._command:
                return
            if self._normalised.send_report():
                self.idle_since = time.monotonic()
            elif self._says_something(_REPORT_TICK_S):
                return

    def _answer(self, context_id: int, request: Command, answer: Answer) -> None:
        encoded = dimse.response(request, answer.status, comment=answer.comment)
        for pdu in dimse.pdus(context_id, encoded, is_command=True, max_pdu=self._terms.max_pdu):
            self._wire.send(pdu)
        self.idle_since = time.monotonic()
        if answer.status is Status.SUCCESS:
            if request.number(dimse.COMMAND_FIELD) == dimse.C_STORE_RQ:
                reached(Step.INSTANCE_ACKNOWLEDGED)
        else:
            log.warning(
                _REFUSALS.get(request.number(dimse.COMMAND_FIELD), "instance_refused"),
                status=f"{answer.status:04X}",
                reason=answer.comment,
                calling_ae=self._terms.calling_ae_title,
            )
