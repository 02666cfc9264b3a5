"""The seam for those who are told."""

import ssl
from pathlib import Path
from typing import Protocol

from dicom_ai_node.alarms.message import Message
from dicom_ai_node.certificates import trust

ANSWER_S = 10.0  # for each step of a connection


class NotTold(Exception):
    """The channel does not work now: nothing of it is lost, and all of it waits."""


class MessageRefused(NotTold):
    """It works, and this message was not taken; others may be."""


class Channel(Protocol):
    """One way to a person."""

    @property
    def name(self) -> str:
        """In the outbox; the same after a restart, and without a secret."""

    def wants(self, name: str, severity: str) -> bool:
        """Whether it is told of such an alarm."""

    def send(self, message: Message) -> str:
        """What was answered, in words; raises NotTold."""


def verifying(key: str, ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later, with a certificate that somebody we trust has signed."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        trust(context, key, ca)
    return context
