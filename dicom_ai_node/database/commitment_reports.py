"""What peers say to our requests for commitment, and what follows from it."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, or_, select

from dicom_ai_node.database.commitment_requests import answered
from dicom_ai_node.database.tables import commitment_request, delivery
from dicom_ai_node.database.uncommitted import Ended, Wanted, record, waits, wanted
from dicom_ai_node.job import DeliveryState

MOST_FORGOTTEN = 5  # an object that was lost so often is not sent again

_COMMITTED = 0
# PS3.3 C.14.1.1: those that another C-STORE can cure; every other one is for good
CURABLE = {
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0213: "resource limitation",
}
_FOR_GOOD = {
    0x0119: "class/instance conflict",
    0x0122: "SOP class not supported",
    0x0131: "duplicate transaction UID",
}


def take(
    connection: Connection,
    peers: Collection[str],
    transaction_uid: str,
    reasons: Mapping[str, int],
    *,
    backoff_max_s: float,
    now: float,
) -> Sequence[Ended] | None:
    """What a peer says to a request of ours: a FailureReason for each SOP Instance UID, 0 where it
    is committed. `peers` are those that it may be. None: none of them was asked this.

    It may come twice, late or in parts. What was stored after it had been asked is left as it is,
    and so is what is committed already.
    """
    query = select(commitment_request).where(
        commitment_request.c.transaction_uid == transaction_uid,
        commitment_request.c.peer.in_(peers),
    )
    request = connection.execute(query).mappings().one_or_none()
    if request is None:
        return None
    of_this = or_(
        delivery.c.commitment_request_id == request["id"],
        delivery.c.finished_at <= request["created_at"],
    )
    open_ = wanted(connection, waits(request["peer"]), of_this)
    told = [each for each in open_ if each.sop_instance_uid in reasons]
    ended = [_ended(each, reasons[each.sop_instance_uid]) for each in told]
    record(connection, ended, backoff_max_s=backoff_max_s, now=now)
    if request["finished_at"] is None:
        answered(connection, request["id"], now=now)
    return ended


def _ended(each: Wanted, reason: int) -> Ended:
    if reason == _COMMITTED:
        return Ended(wanted=each, state=DeliveryState.COMMITTED, status="committed")
    words = (CURABLE | _FOR_GOOD).get(reason, "for a reason of its own")
    status = f"not committed: {reason:04X} {words}"
    if reason not in CURABLE:
        return Ended(wanted=each, state=DeliveryState.REFUSED, status=status)
    if each.forgotten + 1 < MOST_FORGOTTEN:
        return Ended(wanted=each, state=DeliveryState.PENDING, status=status)
    often = f"{status}, {MOST_FORGOTTEN} times after it had been stored: ask the peer why, then "
    return Ended(wanted=each, state=DeliveryState.REFUSED, status=f"{often}`jobs retry`")
