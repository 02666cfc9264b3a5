"""What a status of C-STORE means for our object: delivered, tried again, or given up (P7)."""

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.tag import Tag
from pynetdicom.status import code_to_category

from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.peer import StoreOutcome

_SOP_CLASS_NOT_SUPPORTED = 0x0122  # by some that have accepted a context for it
_DUPLICATE_SOP_INSTANCE = 0x0111  # the peer has it: the same UID is the same object
# PS3.4 B.2.3 and PS3.7 Annex C: cured by time; every other failure is for good
_TRANSIENT = frozenset({0x0110, 0x0213, *range(0xA700, 0xA800)})

_IN_WORDS: tuple[tuple[range, str], ...] = tuple(
    (span if isinstance(span, range) else range(span, span + 1), words)
    for span, words in (
        (0x0110, "it could not process it now"),
        (0x0111, "it has it already"),
        (0x0117, "it finds the UID invalid"),
        (0x0122, "it does not take this SOP class"),
        (0x0124, "this node may not store there: allow it in the peer's settings"),
        (0x0213, "it is out of resources"),
        (0xB000, "it altered elements"),
        (0xB006, "it discarded elements"),
        (0xB007, "it finds that the data set does not match the SOP class"),
        (range(0xA700, 0xA800), "it is out of resources"),
        (range(0xA900, 0xAA00), "it finds that the data set does not match the SOP class"),
        (range(0xC000, 0xD000), "it cannot understand the object: its log says why"),
    )
)


def outcome_of(answer: Dataset) -> StoreOutcome:
    """Of an answer that has a status. Its comment is left out: it may quote the data set."""
    status = int(answer.Status)
    category = code_to_category(status)
    text = _in_words(status, category)
    if status == _DUPLICATE_SOP_INSTANCE or category == "Success":
        return StoreOutcome(state=DeliveryState.STORED, status=text)
    if category == "Warning":
        text += _tags(answer)
        return StoreOutcome(state=DeliveryState.STORED, status=text, has_warning=True)
    if status in _TRANSIENT:
        return StoreOutcome(state=DeliveryState.PENDING, status=text)
    return StoreOutcome(
        state=DeliveryState.REFUSED,
        status=text,
        form_refused=status == _SOP_CLASS_NOT_SUPPORTED,
    )


def _in_words(status: int, category: str) -> str:
    code = f"{status:04X}"
    if category == "Success":
        return code
    words = next((words for span, words in _IN_WORDS if status in span), None)
    if words is None:
        words = (
            "a warning" if category == "Warning" else "a failure that the standard does not name"
        )
    return f"{code}: {words}"


def _tags(answer: Dataset) -> str:
    """(0000,0901): which elements, by their tags alone."""
    if not answer.get("OffendingElement"):
        return ""
    value = answer.OffendingElement
    every = value if isinstance(value, Sequence) else [value]
    return "".join(f" {Tag(each)}" for each in every)
