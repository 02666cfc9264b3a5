"""The data set of an N-ACTION, collected while it comes."""

from pydicom.uid import UID

from dicom_ai_node.database.commitments import NewCommitment
from dicom_ai_node.receive.answer import SUCCESS, Answer
from dicom_ai_node.receive.attributes import TOO_LONG, Collected, Unacceptable
from dicom_ai_node.receive.commitment import Commitments
from dicom_ai_node.receive.commitment_request import read_request
from dicom_ai_node.receive.outbox import Outbox


class Action(Collected):
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
        super().__init__()
        self._commitments = commitments
        self._outbox = outbox
        self._calling_ae_title = calling_ae_title
        self._called_ae_title = called_ae_title
        self._transfer_syntax = transfer_syntax

    def finish(self) -> Answer:
        """A success means that the request is kept, not that the instances are."""
        if self.is_too_long:
            return TOO_LONG
        try:
            self._commitments.take(self._request(), self._outbox)
        except Unacceptable as error:
            return Answer(error.status, str(error))
        return SUCCESS

    def _request(self) -> NewCommitment:
        uid, references = read_request(self.take(), self._transfer_syntax)
        return NewCommitment(
            transaction_uid=uid,
            calling_ae_title=self._calling_ae_title,
            called_ae_title=self._called_ae_title,
            references=references,
        )
