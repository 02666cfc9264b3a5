"""What two sides of an association have agreed on, and what follows a command."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dicom_ai_node.receive.answer import Answer
from dicom_ai_node.receive.negotiation import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was agreed on."""

    calling_ae_title: str
    called_ae_title: str
    may: frozenset[str]  # echo, store, commitment, notify
    max_pdu: int  # what the peer takes
    contexts: Mapping[int, Context]


class DataSet(Protocol):
    """What follows a command: it is fed to its end, or dropped."""

    def feed(self, data: memoryview) -> None: ...
    def finish(self) -> Answer: ...
    def drop(self) -> None: ...
