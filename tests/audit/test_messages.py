"""Every kind of message is valid, whatever its values hold; codes are those of the standard."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes as dicom_codes

from dicom_ai_node.audit import acts, codes, events
from dicom_ai_node.audit.acts import Act, Actor
from dicom_ai_node.audit.message import Message, Party, Source, Subject
from dicom_ai_node.audit.study import Patient, StudyInstances
from dicom_ai_node.audit.xml import to_xml
from tests.audit.schema import assert_valid, identified, parsed, subject

AT = 1767330245.5  # 2026-01-02T05:04:05.500Z
HOSTILE = (
    "12\"'<&>]]>--><AuditMessage/>",
    "\x00\x01\x08\x1b[31m",
    "two\r\nlines\u2028and\u2029more\x85",
    "\ud800 alone, \ufffe \uffff",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "",
    " ",
    "x" * 100_000,
    "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;",
)
SOURCE = Source(source_id="AI_NODE", enterprise_site_id="Hospital", ae_titles=("AI_NODE", "AI2"))


def every_kind(text: str) -> list[Message]:
    """With this text wherever one may come from outside."""
    here = Party(
        user_id="17", alternative_id="AETITLES=AI_NODE", name="dicom_ai_node", address="ai"
    )
    peer = events.peer(text, "10.0.0.5")
    patient = Patient(patient_id=text, name=text, issuer=text)
    what = StudyInstances(
        study_instance_uid=text,
        patient=patient,
        accession_number=text,
        sop_classes={text: 3, "1.2.840.10008.5.1.4.1.1.2": 1},
    )
    unknown = StudyInstances(study_instance_uid=text)
    person = acts.person(Actor(name=text, through="web page", address="::1"), "ai")
    subjects = [Subject(id=text, id_type=codes.NODE)]
    made = [
        events.application_activity(here, person, started=True, at=AT),
        events.application_activity(here, person, started=False, at=AT, why=text or "why"),
        events.audit_log_used(here, person, uri="file:///var/audit", at=AT),
        events.begin_transferring(here, peer, what, at=AT),
        events.instances_transferred(peer, here, what, requestor=peer, action="C", at=AT),
        events.instances_transferred(
            here, peer, unknown, requestor=here, action="R", at=AT, why=text
        ),
        events.nothing_transferred(peer, here, {text: 2}, at=AT, why=text),
        events.data_export(here, uri=f"file:///{text}", what=what, at=AT, why=text),
        events.data_import(here, person, uri="file:///cd", what=what, at=AT),
        events.instances_accessed(here, person, what, at=AT),
        events.study_deleted(here, what, at=AT),
        events.study_deleted(here, unknown, at=AT, person=person),
        events.query(
            here,
            peer,
            sop_class_uid="1.2.840.10008.5.1.4.1.2.2.1",
            content=text.encode(errors="replace") + b"\0\xff",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            at=AT,
        ),
        events.web_query(
            here, Party(user_id=text, address="https://pacs/dicom-web"), url="/studies", at=AT
        ),
        events.security_alert(
            [here, peer], kind=codes.NODE_AUTHENTICATION, subjects=subjects, description=text, at=AT
        ),
        events.user_authentication(here, person, signs_in=True, succeeded=False, at=AT),
    ]
    for verb in ("jobs retry", "models install", "tokens revoke", "studies delete", "preview"):
        for succeeded in (True, False):
            act = Act(verb=verb, study=what, job_id=3, subject=text, succeeded=succeeded)
            made.append(acts.message_of(here, person, act, at=AT))
    return made


def test_every_kind_is_valid_whatever_its_values_hold(tmp_path: Path) -> None:
    bodies = [to_xml(each, SOURCE) for text in HOSTILE for each in every_kind(text)]
    assert all(b"\n" not in body and b"\r" not in body for body in bodies)
    assert_valid(bodies, tmp_path)


@given(st.text(st.characters(), max_size=60))
def test_any_text_stays_a_text(text: str) -> None:
    what = StudyInstances(study_instance_uid="1.2.3", patient=Patient(patient_id=text, name=text))
    message = events.study_deleted(Party(user_id="1"), what, at=AT)
    body = to_xml(message, SOURCE)
    assert b"\n" not in body
    root = parsed(body)
    assert [each.tag for each in root] == [
        "EventIdentification",
        "ActiveParticipant",
        "AuditSourceIdentification",
        "ParticipantObjectIdentification",
        "ParticipantObjectIdentification",
    ]
    if text and text.isprintable():
        assert identified(root, "2") == text


def test_a_message_says_when_and_who_reports_it() -> None:
    root = parsed(to_xml(every_kind("PACS")[0], SOURCE))
    event, source = root.find("EventIdentification"), root.find("AuditSourceIdentification")
    assert event is not None
    assert source is not None
    assert event.get("EventDateTime") == "2026-01-02T05:04:05.500Z"
    assert source.attrib == {"AuditEnterpriseSiteID": "Hospital", "AuditSourceID": "AI_NODE"}


@pytest.mark.parametrize(
    "code", [each for each in vars(codes).values() if isinstance(each, codes.Code)]
)
def test_codes_and_their_meanings_are_those_of_the_standard(code: codes.Code) -> None:
    if code.system != "DCM":
        assert code.system in ("RFC-3881", "dicom-ai-node")
        return
    known = {
        getattr(dicom_codes.DCM, name).value: getattr(dicom_codes.DCM, name).meaning
        for name in dicom_codes.DCM.dir()
    }
    assert known[code.value] == code.meaning


def test_a_message_without_a_patient_names_the_study_all_the_same() -> None:
    what = StudyInstances(study_instance_uid="1.2.3")
    root = parsed(to_xml(events.study_deleted(Party(user_id="1"), what, at=AT), SOURCE))
    assert identified(root, "110180") == "1.2.3"
    assert subject(root, "2") is None
