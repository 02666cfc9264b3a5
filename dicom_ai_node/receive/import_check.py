"""What can be said of a file that is to be imported by looking at it."""

import enum
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID

from dicom_ai_node.config.settings import Config
from dicom_ai_node.receive.answer import SUCCESS, Answer, Status
from dicom_ai_node.receive.negotiation import STORAGE_COMMITMENT, VERIFICATION, supported_contexts
from dicom_ai_node.receive.part10_file import NotAnInstance, Part10File, Unacceptable, look_at
from dicom_ai_node.receive.store import TOO_LARGE

UNREADABLE = Answer(Status.CANNOT_UNDERSTAND, "the file cannot be read")
_CLASS_NOT_TAKEN = Answer(
    Status.SOP_CLASS_NOT_SUPPORTED, "its SOP class is not in node.accept_sop_classes"
)
_SYNTAX_NOT_TAKEN = Answer(
    Status.SOP_CLASS_NOT_SUPPORTED, "its transfer syntax is not accepted by this node"
)


class Fate(enum.StrEnum):
    """What became of a file."""

    STORED = "stored"
    KNOWN = "known"  # the same bytes are there already
    REFUSED = "refused"
    NOT_TAKEN = "not_taken"  # of a SOP class without images, which this node does not accept
    PASSED_OVER = "passed_over"  # no DICOM instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    path: Path
    fate: Fate
    answer: Answer = SUCCESS


class Check:
    """What this node takes from its peers, and so from files."""

    def __init__(self, config: Config) -> None:
        self._most = config.limits.object_bytes
        self._accepted = {
            str(context.abstract_syntax): frozenset(context.transfer_syntax)
            for context in supported_contexts(config.node)
            if context.abstract_syntax not in (VERIFICATION, STORAGE_COMMITMENT)
        }

    def look_at(self, path: Path) -> Part10File | Outcome:
        """The file, where it is to be stored; its outcome, where that is certain."""
        try:
            found = look_at(path)
        except NotAnInstance:
            return Outcome(path=path, fate=Fate.PASSED_OVER)
        except Unacceptable as error:
            return Outcome(path=path, fate=Fate.REFUSED, answer=error.answer)
        except OSError:
            return Outcome(path=path, fate=Fate.REFUSED, answer=UNREADABLE)
        syntaxes = self._accepted.get(found.sop_class_uid)
        if syntaxes is None:
            keyword = UID(found.sop_class_uid).keyword
            has_images = not keyword or "Image" in keyword  # who knows what a private one has
            fate = Fate.REFUSED if has_images else Fate.NOT_TAKEN
            return Outcome(path=path, fate=fate, answer=_CLASS_NOT_TAKEN)
        if found.transfer_syntax_uid not in syntaxes:
            return Outcome(path=path, fate=Fate.REFUSED, answer=_SYNTAX_NOT_TAKEN)
        if found.size > self._most:
            return Outcome(path=path, fate=Fate.REFUSED, answer=TOO_LARGE)
        return found
