"""The trail of this process, for what lies too deep to be handed one: as the log is."""

from collections.abc import Callable

from dicom_ai_node.audit.message import Message
from dicom_ai_node.audit.trail import Trail

_trail: Trail | None = None


def use(trail: Trail | None) -> None:
    """What opens a node says where its messages go; until then there is no node to speak of."""
    global _trail
    _trail = trail


def current() -> Trail | None:
    return _trail


def note(message: Callable[[Trail], Message], *, sync: bool = True) -> None:
    """What has happened; see `Trail.note`."""
    if _trail is not None:
        _trail.note(message(_trail), sync=sync)


def require(message: Callable[[Trail], Message]) -> None:
    """What is about to happen; raises NotRecorded, and then it must not."""
    if _trail is not None:
        _trail.require(message(_trail))
