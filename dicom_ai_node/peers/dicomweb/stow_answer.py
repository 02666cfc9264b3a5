"""What a STOW-RS answer says of each object (PS3.18 10.5.3), by the same policy as for C-STORE."""

from collections.abc import Mapping

from pydicom import Dataset

from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.dicomweb.dicom_json import items, number, text, values
from dicom_ai_node.peers.peer import StoreOutcome
from dicom_ai_node.peers.store_status import outcome_of

_ALL_STORED = frozenset({200, 201, 204})
_SOME_STORED = 202
_DUPLICATE = 0x0111
_THERE_ALREADY = frozenset({_DUPLICATE, 0xB00E})  # 45070: so says Azure's service
_BEING_STORED = 0xB00F  # 45071: by another request at this moment
_SYNTAX_NOT_SUPPORTED = 0xC122  # PS3.18 Table 10.5.3-2
# of a request as a whole: one bad object may be the reason, so that each is sent by itself
SPLIT = frozenset({400, 409, 413, 415, 422, 500})
# of the address: it is not that of a STOW-RS service
NO_SERVICE = frozenset({404, 405, 406, 410, 501})
_IN_WORDS = {
    400: "the peer cannot read the request: its log says why",
    409: "the peer stored nothing, and says no reason: its log does",
    413: "the object is larger than the peer takes: raise its limit there",
    415: "the peer does not take this kind of object by STOW-RS",
    422: "the peer cannot understand the object: its log says why",
}


def named(content: bytes) -> Mapping[str, StoreOutcome]:
    """By SOP Instance UID; empty where the answer names none, or is not in JSON."""
    found: dict[str, StoreOutcome] = {}
    for answer in items(content):
        for item in values(answer, "ReferencedSOPSequence"):
            found[text(item, "ReferencedSOPInstanceUID")] = _stored(number(item, "WarningReason"))
        for item in values(answer, "FailedSOPSequence"):
            found[text(item, "ReferencedSOPInstanceUID")] = _failed(number(item, "FailureReason"))
    return found


def unnamed(status: int, *, others_are: bool) -> StoreOutcome:
    """Of an object that the answer says nothing of; some may name the `others`."""
    code = f"HTTP {status}"
    if status in _ALL_STORED and not others_are:
        return StoreOutcome(state=DeliveryState.STORED, status=code)
    if others_are or status == _SOME_STORED:
        return StoreOutcome(
            state=DeliveryState.PENDING, status=f"{code}: the peer does not say that it has it"
        )
    if status >= 500:
        return StoreOutcome(
            state=DeliveryState.PENDING, status=f"{code}: the peer failed at it, its log says why"
        )
    words = _IN_WORDS.get(status, "the peer refuses it: its log says why")
    return StoreOutcome(
        state=DeliveryState.REFUSED, status=f"{code}: {words}", form_refused=status == 415
    )


def _stored(warning: int | None) -> StoreOutcome:
    if warning is None:
        return _by_status(0)
    outcome = _by_status(warning)
    if outcome.state is DeliveryState.STORED:
        return outcome
    # it is among what was stored, whatever the code
    return StoreOutcome(
        state=DeliveryState.STORED, status=f"{warning:04X}: a warning", has_warning=True
    )


def _failed(reason: int | None) -> StoreOutcome:
    if reason is None:
        return StoreOutcome(
            state=DeliveryState.REFUSED, status="refused without a reason: the peer's log has it"
        )
    if reason in _THERE_ALREADY:
        return _by_status(_DUPLICATE)
    if reason == _BEING_STORED:
        return StoreOutcome(
            state=DeliveryState.PENDING, status=f"{reason:04X}: it is just being stored"
        )
    if reason == _SYNTAX_NOT_SUPPORTED:
        return StoreOutcome(
            state=DeliveryState.REFUSED,
            status=f"{reason:04X}: it does not take this transfer syntax",
            form_refused=True,
        )
    outcome = _by_status(reason)
    if outcome.state is DeliveryState.STORED:  # 0000, or a warning, among the failures
        return StoreOutcome(state=DeliveryState.REFUSED, status=f"{reason:04X}: it was not stored")
    return outcome


def _by_status(status: int) -> StoreOutcome:
    answer = Dataset()
    answer.Status = status
    return outcome_of(answer)
