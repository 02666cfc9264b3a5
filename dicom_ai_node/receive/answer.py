"""What a peer is told of a message: a status of PS3.7 Annex C, and a comment."""

import enum
from dataclasses import dataclass

from dicom_ai_node.database import tallies


class Status(enum.IntEnum):
    """PS3.7 Annex C, PS3.4 Table B.2-1; 0xA700 only where sending again can help."""

    SUCCESS = 0x0000
    DUPLICATE_SOP_INSTANCE = 0x0111
    SOP_CLASS_NOT_SUPPORTED = 0x0122  # of files: a peer is refused the context
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    TOO_MANY_INSTANCES = 0xC001


class ActionStatus(enum.IntEnum):
    """Answers to an N-ACTION (PS3.7 10.1.4.1.10)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_ARGUMENT_VALUE = 0x0115
    NO_SUCH_SOP_CLASS = 0x0118
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORIZED = 0x0124
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


class NotificationStatus(enum.IntEnum):
    """Answers to an N-CREATE or N-SET (PS3.7 10.1.5.1.6, 10.1.3.1.9)."""

    INVALID_ATTRIBUTE_VALUE = 0x0106
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_SOP_INSTANCE = 0x0117
    NO_SUCH_SOP_CLASS = 0x0118
    MISSING_ATTRIBUTE = 0x0120
    UNRECOGNIZED_OPERATION = 0x0211


class EventStatus(enum.IntEnum):
    """Answers to an N-EVENT-REPORT (PS3.7 10.1.1.1.8)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_SOP_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    INVALID_ARGUMENT_VALUE = 0x0115
    NO_SUCH_SOP_CLASS = 0x0118
    NOT_AUTHORIZED = 0x0124


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and a comment for the peer in which no value of the data set stands."""

    status: Status | ActionStatus | NotificationStatus | EventStatus
    comment: str = ""


SUCCESS = Answer(Status.SUCCESS)


def in_books(answer: Answer) -> str:
    """The word of the books for an instance that was answered so, and is not stored."""
    if answer.status is Status.SUCCESS:
        return tallies.DUPLICATE
    if answer.status is Status.DUPLICATE_SOP_INSTANCE:
        return tallies.CONFLICT
    return f"{tallies.REFUSED}{answer.status:04X}"
