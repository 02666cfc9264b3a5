"""Times and states as people read them, on a terminal and on the web page."""

from datetime import datetime

from dicom_ai_node.job import DeliveryState

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))
_STATES = {
    DeliveryState.SPARE: "kept back",
    DeliveryState.PASSED: "not taken",
    DeliveryState.GIVEN_UP: "given up",
}


def moment(seconds: float | None) -> str:
    """Local time, to the second."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def age(seconds: float) -> str:
    """In the largest unit that leaves more than one: 90 s, 3 h, 2 d."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def state_in_words(state: DeliveryState, *, wants_commitment: bool = False) -> str:
    """Of a delivery: what waits on a lower rung, what a peer did not take, and what it has not
    committed to, by their names."""
    if wants_commitment and state is DeliveryState.STORED:
        return "stored, not yet committed"
    return _STATES.get(state, str(state))
