"""What a person did, as an audit message: DICOM has no event for an operator of a node."""

from dataclasses import dataclass
from typing import Literal

from dicom_ai_node.audit import codes, events, message
from dicom_ai_node.audit.codes import Code, Outcome
from dicom_ai_node.audit.message import Message, Party, Subject
from dicom_ai_node.audit.study import StudyInstances

SIGN_IN, SIGN_OUT, DELETE = "sign in", "sign out", "studies delete"
# by the first word of a verb; the others use a function that not everybody may use
_KINDS = {
    "models": codes.SOFTWARE_CONFIGURATION,
    "rules": codes.SOFTWARE_CONFIGURATION,
    "config": codes.SOFTWARE_CONFIGURATION,
    "reload": codes.SOFTWARE_CONFIGURATION,
    "setup": codes.SOFTWARE_CONFIGURATION,
    "db": codes.SOFTWARE_CONFIGURATION,
    "restore": codes.SOFTWARE_CONFIGURATION,
    "tokens": codes.USER_ATTRIBUTES_CHANGED,
    "token": codes.USER_ATTRIBUTES_CHANGED,
}
_SEEING = frozenset({"preview", "view"})  # last words: a person saw images


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did something: an account of this machine, a token's name, or a name from a proxy."""

    name: str
    through: Literal["command line", "web page", "node"]
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A verb as the command line calls it (`jobs retry`), and what it was used on."""

    verb: str
    study: StudyInstances | None = None
    job_id: int | None = None
    subject: str = ""  # a model, a peer, a token, a file
    succeeded: bool = True


def person(actor: Actor, machine: str) -> Party:
    """loginName@domain, where the machine's name stands for the domain (A.5.2.1)."""
    account = f"{actor.name}@{machine}" if actor.through == "command line" else actor.name
    return Party(user_id=account, name=actor.through, address=actor.address or machine)


def message_of(here: Party, who: Party, act: Act, *, at: float) -> Message:
    verb = act.verb.replace("-", " ")
    if verb in (SIGN_IN, SIGN_OUT):
        return events.user_authentication(
            here, who, signs_in=verb == SIGN_IN, succeeded=act.succeeded, at=at
        )
    if verb.split()[-1] in _SEEING and act.study is not None and act.succeeded:
        return events.instances_accessed(here, who, act.study, at=at)
    if verb == DELETE and act.study is not None and act.study.patient and act.succeeded:
        return events.study_deleted(here, act.study, at=at, person=who)
    return events.security_alert(
        [who, here],
        kind=kind_of(verb),
        subjects=_subjects(here, act),
        description=act.verb if act.succeeded else f"{act.verb}: it failed, or was refused",
        at=at,
        outcome=Outcome.SUCCESS if act.succeeded else Outcome.MINOR_FAILURE,
    )


def kind_of(verb: str) -> Code:
    return _KINDS.get(verb.split()[0], codes.USE_OF_RESTRICTED_FUNCTION)


def _subjects(here: Party, act: Act) -> list[Subject]:
    found: list[Subject] = []
    if act.study is not None:
        found += act.study.subjects()
    if act.job_id is not None:
        found.append(Subject(id=str(act.job_id), id_type=codes.JOB, role=message.JOB))
    if act.subject:
        found.append(
            Subject(id=act.subject, id_type=codes.NAMED, role=message.MASTER_FILE, name=act.subject)
        )
    return found or [Subject(id=here.address, id_type=codes.NODE, role=message.SECURITY_RESOURCE)]
