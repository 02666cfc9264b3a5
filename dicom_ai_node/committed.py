"""A report on storage commitment, whichever way it came: what it says is recorded and logged."""

from collections.abc import Collection, Sequence

from dicom_ai_node.database import commitment_reports
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.uncommitted import Ended
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.log import get_logger
from dicom_ai_node.peers.commitment import Report

log = get_logger(__name__)


def take_report(
    database: Database, peers: Collection[str], report: Report, *, backoff_max_s: float
) -> bool:
    """False where none of `peers`, the names that its sender may have, was asked this."""
    reasons = {
        uid: reason for (_, uid), reason in zip(report.references, report.reasons, strict=True)
    }
    with database.write() as connection:
        ended = commitment_reports.take(
            connection,
            peers,
            report.transaction_uid,
            reasons,
            backoff_max_s=backoff_max_s,
            now=database.now(),
        )
    reached(Step.COMMITMENT_RECORDED)
    if ended is None:
        log.warning("commitment_report_unknown", peers=sorted(peers), instances=len(reasons))
        return False
    say(ended)
    return True


def say(ended: Sequence[Ended]) -> None:
    """An alarm for what needs a person."""
    for each in ended:
        level = {DeliveryState.COMMITTED: log.info, DeliveryState.PENDING: log.warning}
        level.get(each.state, log.error)(
            "object_committed" if each.state is DeliveryState.COMMITTED else "object_not_committed",
            peer=each.wanted.peer,
            job=each.wanted.job_id,
            kind=each.wanted.kind,
            state=each.state,
            status=each.status,
        )
