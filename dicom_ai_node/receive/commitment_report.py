"""Reports on what we have asked peers to commit to, on associations of theirs (PS3.4 J.3.3)."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from pydicom.uid import UID
from sqlalchemy.exc import SQLAlchemyError

from dicom_ai_node.committed import take_report
from dicom_ai_node.config.peers import AnyPeer, DimsePeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.log import get_logger
from dicom_ai_node.peers.commitment_scu import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    NotAReport,
    read_report,
)
from dicom_ai_node.receive import command as dimse
from dicom_ai_node.receive.answer import SUCCESS, Answer, EventStatus
from dicom_ai_node.receive.attributes import TOO_LONG, Collected, Unacceptable, read_attributes
from dicom_ai_node.receive.command import Command
from dicom_ai_node.receive.commitment_request import SOP_INSTANCE_UID
from dicom_ai_node.receive.negotiation import STORAGE_COMMITMENT

log = get_logger(__name__)

# Transaction UID, Failed and Referenced SOP Sequence
_TAGS = (0x00081195, 0x00081198, 0x00081199)
_DATABASE_DOWN = Answer(EventStatus.PROCESSING_FAILURE, "the database cannot take it now")
# the same for a transaction of nobody and of another peer: who asks learns nothing of others
_UNKNOWN = Answer(EventStatus.INVALID_ARGUMENT_VALUE, "no such transaction with this peer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Where they are recorded; shared by the associations of one process."""

    database: Database
    names: Mapping[str, frozenset[str]]  # of peers, by their AE title
    backoff_max_s: float

    @classmethod
    def of(cls, config: Config, database: Database) -> "Reports":
        return cls(
            database=database,
            names=_by_title(config.peers.items()),
            backoff_max_s=config.delivery.backoff_max_s,
        )

    def refusal(self, request: Command, may: Container[str]) -> Answer | None:
        """Of an N-EVENT-REPORT by its command alone."""
        if "commitment" not in may:
            return Answer(EventStatus.NOT_AUTHORIZED, "may not report storage commitment here")
        if request.text(dimse.AFFECTED_SOP_CLASS_UID) != STORAGE_COMMITMENT:
            return Answer(
                EventStatus.NO_SUCH_SOP_CLASS, "another SOP class than that of the context"
            )
        if request.text(dimse.AFFECTED_SOP_INSTANCE_UID) != SOP_INSTANCE_UID:
            return Answer(EventStatus.NO_SUCH_SOP_INSTANCE, "not the well-known SOP instance")
        if request.number(dimse.EVENT_TYPE_ID) not in (ALL_COMMITTED, FAILURES_EXIST):
            return Answer(EventStatus.NO_SUCH_EVENT_TYPE, "no such event type")
        return None


class CommitmentReport(Collected):
    """The data set of an N-EVENT-REPORT, while it comes."""

    def __init__(self, reports: Reports, *, calling_ae_title: str, transfer_syntax: UID) -> None:
        super().__init__()
        self._reports = reports
        self._peers = reports.names.get(calling_ae_title, frozenset())
        self._transfer_syntax = transfer_syntax

    def finish(self) -> Answer:
        """A success means that it is recorded; a report that comes twice has it twice."""
        if self.is_too_long:
            return TOO_LONG
        try:
            ds = read_attributes(
                self.take(),
                self._transfer_syntax,
                _TAGS,
                unreadable=EventStatus.INVALID_ARGUMENT_VALUE,
            )
            is_ours = take_report(
                self._reports.database,
                self._peers,
                read_report(ds),
                backoff_max_s=self._reports.backoff_max_s,
            )
        except Unacceptable as error:
            return Answer(error.status, str(error))
        except NotAReport as error:
            return Answer(EventStatus.INVALID_ARGUMENT_VALUE, str(error))
        except SQLAlchemyError:
            log.exception("commitment_report_not_taken")
            return _DATABASE_DOWN
        return SUCCESS if is_ours else _UNKNOWN


def _by_title(peers: Iterable[tuple[str, AnyPeer]]) -> Mapping[str, frozenset[str]]:
    """One AE title may have several names."""
    names: dict[str, frozenset[str]] = {}
    for name, peer in peers:
        if isinstance(peer, DimsePeer):
            names[peer.ae_title] = names.get(peer.ae_title, frozenset()) | {name}
    return names
