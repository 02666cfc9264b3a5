"""An audit message as the schema of PS3.15 A.5.1 has it, before it is XML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dicom_ai_node.audit.codes import Code, Outcome

# Create, Read, Update, Delete, Execute
Action = Literal["C", "R", "U", "D", "E"]

PERSON, SYSTEM_OBJECT = 1, 2  # ParticipantObjectTypeCode
# ParticipantObjectTypeCodeRole (A.5.1.2.2)
PATIENT, REPORT, MASTER_FILE, SECURITY_RESOURCE, JOB = 1, 3, 5, 13, 20
ALERT = "Alert Description"  # the detail of a security alert (A.5.3.11)


def octets(text: str) -> bytes:
    """UTF-8, also of what a damaged data set was decoded to."""
    return text.encode(errors="backslashreplace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who took part: a person, a process, a peer, or a medium."""

    user_id: str
    alternative_id: str = ""
    name: str = ""
    is_requestor: bool = False
    role: Code | None = None
    medium: Code | None = None
    address: str = ""  # an IP address, a URI, or the name of a machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What it was about: a study, a patient, a query, a job."""

    id: str
    id_type: Code
    kind: int = SYSTEM_OBJECT
    role: int | None = None
    life_cycle: int | None = None
    name: str = ""
    query: bytes | None = None
    details: tuple[tuple[str, bytes], ...] = ()  # base64 in the message
    accession_number: str = ""
    sop_classes: Mapping[str, int] = field(default_factory=dict)  # instances, by SOP Class UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`at` is seconds since the epoch."""

    event: Code
    action: Action
    at: float
    parties: tuple[Party, ...]
    kind: Code | None = None
    outcome: Outcome = Outcome.SUCCESS
    why: str = ""  # it failed
    subjects: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who reports: this node, in each of its messages."""

    source_id: str = "dicom-ai-node"
    enterprise_site_id: str = ""
    ae_titles: tuple[str, ...] = ()
