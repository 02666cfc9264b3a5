"""The messages of PS3.15 A.5.3 that this node writes; `here` is the process that reports."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from dicom_ai_node.audit import codes, message
from dicom_ai_node.audit.codes import Code, Outcome
from dicom_ai_node.audit.message import Message, Party, Subject
from dicom_ai_node.audit.study import StudyInstances


def peer(ae_title: str, address: str) -> Party:
    """A DICOM application elsewhere (A.5.2.1, A.5.2.2)."""
    return Party(user_id=ae_title, alternative_id=f"AETITLES={ae_title}", address=address)


def application_activity(
    here: Party, launcher: Party, *, started: bool, at: float, why: str = ""
) -> Message:
    """A.5.3.1; with `why` it stopped by itself."""
    return Message(
        event=codes.APPLICATION_ACTIVITY,
        kind=codes.START if started else codes.STOP,
        action="E",
        at=at,
        outcome=Outcome.SERIOUS_FAILURE if why else Outcome.SUCCESS,
        why=why,
        parties=(
            replace(here, role=codes.APPLICATION),
            replace(launcher, role=codes.LAUNCHER, is_requestor=True),
        ),
    )


def audit_log_used(here: Party, person: Party, *, uri: str, at: float) -> Message:
    """A.5.3.2."""
    log = Subject(
        id=uri, id_type=codes.URI, role=message.SECURITY_RESOURCE, name="Security Audit Log"
    )
    return Message(
        event=codes.AUDIT_LOG_USED,
        action="R",
        at=at,
        parties=(replace(person, is_requestor=True), here),
        subjects=(log,),
    )


def begin_transferring(here: Party, to: Party, what: StudyInstances, *, at: float) -> Message:
    """A.5.3.3: this node begins to send."""
    return Message(
        event=codes.BEGIN_TRANSFERRING,
        action="E",
        at=at,
        parties=_transfer(here, to, requestor=here),
        subjects=what.subjects(),
    )


def instances_transferred(
    source: Party,
    destination: Party,
    what: StudyInstances,
    *,
    requestor: Party,
    action: Literal["C", "R", "U"],
    at: float,
    why: str = "",
) -> Message:
    """A.5.3.7; with `why` these were not."""
    return Message(
        event=codes.INSTANCES_TRANSFERRED,
        action=action,
        at=at,
        outcome=Outcome.MINOR_FAILURE if why else Outcome.SUCCESS,
        why=why,
        parties=_transfer(source, destination, requestor=requestor),
        subjects=what.subjects(),
    )


def nothing_transferred(
    source: Party, destination: Party, sop_classes: dict[str, int], *, at: float, why: str
) -> Message:
    """A.5.3.7 of instances that were refused, so that nobody knows whose they are."""
    subjects = tuple(
        Subject(id=uid, id_type=codes.SOP_CLASS, role=message.REPORT, sop_classes={uid: number})
        for uid, number in sorted(sop_classes.items())
    )
    return Message(
        event=codes.INSTANCES_TRANSFERRED,
        action="C",
        at=at,
        outcome=Outcome.MINOR_FAILURE,
        why=why,
        parties=_transfer(source, destination, requestor=source),
        subjects=subjects,
    )


def _transfer(source: Party, destination: Party, *, requestor: Party) -> tuple[Party, ...]:
    return (
        replace(source, role=codes.SOURCE, is_requestor=requestor is source),
        replace(destination, role=codes.DESTINATION, is_requestor=requestor is destination),
    )


def data_export(
    here: Party, *, uri: str, what: StudyInstances, at: float, why: str = ""
) -> Message:
    """A.5.3.4: into a folder, where whoever reads it takes over."""
    medium = Party(user_id=uri, role=codes.DESTINATION_MEDIA, medium=codes.MEDIUM_BY_URI)
    return Message(
        event=codes.EXPORT,
        action="R",
        at=at,
        outcome=Outcome.MINOR_FAILURE if why else Outcome.SUCCESS,
        why=why,
        parties=(replace(here, role=codes.SOURCE, is_requestor=True), medium),
        subjects=what.subjects(),
    )


def data_import(
    here: Party, person: Party, *, uri: str, what: StudyInstances, at: float
) -> Message:
    """A.5.3.5: from files, by a person or by the node itself."""
    medium = Party(user_id=uri, role=codes.SOURCE_MEDIA, medium=codes.MEDIUM_BY_URI)
    return Message(
        event=codes.IMPORT,
        action="C",
        at=at,
        parties=(
            replace(person, is_requestor=True),
            replace(here, role=codes.DESTINATION),
            medium,
        ),
        subjects=what.subjects(life_cycle=2),  # import or copy from original
    )


def instances_accessed(here: Party, person: Party, what: StudyInstances, *, at: float) -> Message:
    """A.5.3.6: somebody saw images."""
    return Message(
        event=codes.INSTANCES_ACCESSED,
        action="R",
        at=at,
        parties=(replace(person, is_requestor=True), here),
        subjects=what.subjects(life_cycle=6),  # access or use
    )


def study_deleted(
    here: Party, what: StudyInstances, *, at: float, person: Party | None = None
) -> Message:
    """A.5.3.8; without a person, because its time had come."""
    by = (here,) if person is None else (person, here)
    return Message(
        event=codes.STUDY_DELETED,
        action="D",
        at=at,
        parties=(replace(by[0], is_requestor=True), *by[1:]),
        subjects=what.subjects(life_cycle=15),  # permanent erasure
    )


def query(
    here: Party,
    asked: Party,
    *,
    sop_class_uid: str,
    content: bytes,
    transfer_syntax_uid: str,
    at: float,
    why: str = "",
) -> Message:
    """A.5.3.10 of a C-FIND: the identifier as it was sent."""
    found = Subject(
        id=sop_class_uid,
        id_type=codes.SOP_CLASS,
        role=message.REPORT,
        query=content,
        details=(("TransferSyntax", transfer_syntax_uid.encode()),),
    )
    return _query(here, asked, found, at=at, why=why)


def web_query(here: Party, asked: Party, *, url: str, at: float, why: str = "") -> Message:
    """A.5.3.10, note 2, of QIDO-RS: the path and its parameters."""
    found = Subject(
        id=asked.user_id, id_type=codes.URI, role=message.REPORT, query=message.octets(url)
    )
    return _query(here, asked, found, at=at, why=why)


def _query(here: Party, asked: Party, subject: Subject, *, at: float, why: str) -> Message:
    return Message(
        event=codes.QUERY,
        action="E",
        at=at,
        outcome=Outcome.MINOR_FAILURE if why else Outcome.SUCCESS,
        why=why,
        parties=_transfer(here, asked, requestor=here),
        subjects=(subject,),
    )


def security_alert(
    reporting: Sequence[Party],
    *,
    kind: Code,
    subjects: Sequence[Subject],
    description: str,
    at: float,
    outcome: Outcome = Outcome.SUCCESS,
) -> Message:
    """A.5.3.11; the first who reports is who asked for it."""
    told = (message.ALERT, message.octets(description))
    return Message(
        event=codes.SECURITY_ALERT,
        kind=kind,
        action="E",
        at=at,
        outcome=outcome,
        why="" if outcome is Outcome.SUCCESS else description,
        parties=(
            replace(reporting[0], is_requestor=True),
            *(replace(each, is_requestor=False) for each in reporting[1:]),
        ),
        subjects=tuple(replace(each, details=(*each.details, told)) for each in subjects),
    )


def user_authentication(
    here: Party, person: Party, *, signs_in: bool, succeeded: bool, at: float
) -> Message:
    """A.5.3.12; the person is who they claim to be."""
    return Message(
        event=codes.USER_AUTHENTICATION,
        kind=codes.LOGIN if signs_in else codes.LOGOUT,
        action="E",
        at=at,
        outcome=Outcome.SUCCESS if succeeded else Outcome.MINOR_FAILURE,
        parties=(replace(person, is_requestor=True), here),
    )
