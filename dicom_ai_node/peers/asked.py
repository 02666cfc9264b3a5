"""What this node asks of its peers, for the audit trail (PS3.15 A.5.3.10): the question, and not
what was answered."""

import time
from functools import partial

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from dicom_ai_node.audit import current, events
from dicom_ai_node.audit.message import Message, Party
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.config.peers import DimsePeer


def find(settings: DimsePeer, query: Dataset) -> None:
    """By C-FIND, before it is sent."""
    asked = events.peer(settings.ae_title, settings.host)
    content = encode(query, is_implicit_vr=False, is_little_endian=True) or b""
    current.note(partial(_query, asked, content, time.time()))


def search(url: str, target: str) -> None:
    """By QIDO-RS: `target` is the path and its parameters."""
    asked = Party(user_id=url, address=url)
    current.note(partial(_web_query, asked, target, time.time()))


def _query(asked: Party, content: bytes, at: float, trail: Trail) -> Message:
    return events.query(
        trail.here,
        asked,
        sop_class_uid=UID(StudyRootQueryRetrieveInformationModelFind),
        content=content,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        at=at,
    )


def _web_query(asked: Party, target: str, at: float, trail: Trail) -> Message:
    return events.web_query(trail.here, asked, url=target, at=at)
