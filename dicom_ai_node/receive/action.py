"""The data set of an N-ACTION, collected while it comes."""

from pydicom.uid import UID

from dicom_ai_node.database.commitments import NewCommitment
from dicom_ai_node.receive.answer import SUCCESS, ActionStatus, Answer
from dicom_ai_node.receive.commitment import Commitments
from dicom_ai_node.receive.commitment_request import MAX_BYTES, Unacceptable, read_request
from dicom_ai_node.receive.outbox import Outbox


class Action:
    """The data set of an N-ACTION that asks for storage commitment (PS3.4 J.3.2)."""

    def __init__(
        self,
        commitments: Commitments,
        outbox: Outbox,
        *,
        calling_ae_title: str,
        called_ae_title: str,
        transfer_syntax: UID,
    ) -> None:
        self._commitments = commitments
        self._outbox = outbox
        self._calling_ae_title = calling_ae_title
        self._called_ae_title = called_ae_title
        self._transfer_syntax = transfer_syntax
        self._content = bytearray()
        self._is_too_long = False

    def feed(self, data: memoryview) -> None:
        if len(self._content) + len(data) > MAX_BYTES:
            self._is_too_long = True
            self._content.clear()
        if not self._is_too_long:
            self._content += data

    def finish(self) -> Answer:
        """A success means that the request is kept, not that the instances are."""
        if self._is_too_long:
            return Answer(ActionStatus.RESOURCE_LIMITATION, "the data set is too long")
        try:
            self._commitments.take(self._request(), self._outbox)
        except Unacceptable as error:
            return Answer(error.status, str(error))
        return SUCCESS

    def _request(self) -> NewCommitment:
        content = bytes(self._content)
        uid, references = read_request(content, self._transfer_syntax)
        return NewCommitment(
            transaction_uid=uid,
            calling_ae_title=self._calling_ae_title,
            called_ae_title=self._called_ae_title,
            references=references,
        )

    def drop(self) -> None:
        self._content.clear()
