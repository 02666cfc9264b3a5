"""C-MOVE as an SCU (PS3.4 C.4.2): a peer is asked to send a study here, by C-STORE as always."""

from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.association import name_of
from dicom_ai_node.peers.query import associated

_MODEL = UID(StudyRootQueryRetrieveInformationModelMove)
_SILENCE_S = 600.0  # some peers say nothing until they have sent everything
_SUCCESS, _SOME_FAILED, _CANCELLED = 0x0000, 0xB000, 0xFE00
_UNKNOWN_DESTINATION = 0xA801
_SAY_COUNTS = (_SUCCESS, _SOME_FAILED, 0xA702)  # with which peers say that nothing arrived
# PS3.4 Table C.4-2: out of resources; and those of PS3.7 Annex C that time may cure
_TRANSIENT = frozenset({0x0110, 0x0213, _CANCELLED, *range(0xA700, 0xA800)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The last answer to a C-MOVE; counts are of instances, as the peer tells them."""

    completed: int
    failed: int
    warning: int  # sent, and answered with a warning
    problem: str | None  # why the peer did not, in a sentence with the next step
    is_transient: bool  # asking again can help
    is_of_peer: bool = False  # no study would be sent

    @property
    def sent(self) -> int:
        return self.completed + self.warning


def move(
    settings: DimsePeer,
    study_instance_uid: str,
    *,
    destination_ae: str,
    calling_ae_title: str,
    series_instance_uid: str | None = None,
) -> Moved:
    """Returns when the peer says that it has sent everything; raises PeerUnreachable."""
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY" if series_instance_uid is None else "SERIES"
    query.StudyInstanceUID = study_instance_uid
    if series_instance_uid is not None:
        query.SeriesInstanceUID = series_instance_uid
    last = Dataset()
    counts = (0, 0, 0)
    with associated(
        settings, _MODEL, calling_ae_title=calling_ae_title, silence_s=_SILENCE_S
    ) as association:
        for status, _ in association.send_c_move(query, destination_ae, _MODEL):
            last = status
            counts = _counts(status, counts)
    if "Status" not in last:
        raise PeerUnreachable(f"{name_of(settings)} broke off a C-MOVE")
    return _moved(settings, int(last.Status), counts, destination_ae)


def _counts(status: Dataset, before: tuple[int, int, int]) -> tuple[int, int, int]:
    """Completed, failed, warning; they stand in some of the answers only."""
    keywords = (
        "NumberOfCompletedSuboperations",
        "NumberOfFailedSuboperations",
        "NumberOfWarningSuboperations",
    )
    completed, failed, warning = (
        int(status[keyword].value or 0) if keyword in status else known
        for keyword, known in zip(keywords, before, strict=True)
    )
    return completed, failed, warning


def _moved(
    settings: DimsePeer, status: int, counts: tuple[int, int, int], destination_ae: str
) -> Moved:
    completed, failed, warning = counts
    name = name_of(settings)
    problem = None
    is_transient = status in _TRANSIENT
    if status == _UNKNOWN_DESTINATION:
        problem = (
            f"{name} does not know {destination_ae} as a destination: enter this node's AE title, "
            "address and port there"
        )
    elif status in _SAY_COUNTS and failed and not completed + warning:
        problem = (
            f"{name} could send none of {failed} instances (status {status:04X}): is it named "
            "under `accept`, and does it know this node's address and port?"
        )
        is_transient = True
    elif status not in (_SUCCESS, _SOME_FAILED):
        problem = f"{name} answered C-MOVE with status {status:04X}: its log says why"
    return Moved(
        completed=completed,
        failed=failed,
        warning=warning,
        problem=problem,
        is_transient=is_transient,
        is_of_peer=status == _UNKNOWN_DESTINATION,
    )
