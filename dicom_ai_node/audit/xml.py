"""Audit messages as XML on one line (PS3.15 A.5.1.1), whatever their values hold."""

import base64
import re
from datetime import UTC, datetime
from ipaddress import ip_address
from xml.etree.ElementTree import Element, SubElement, tostring

from dicom_ai_node.audit.codes import Code
from dicom_ai_node.audit.message import Message, Party, Source, Subject

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'
_APPLICATION_SERVER = "4"  # AuditSourceTypeCode (A.5.1.2.1)
# what XML 1.0 cannot hold (2.2), and what would end a line or be changed as white space
_UNFIT = re.compile("[^ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\x7f-\x9f\u2028\u2029]")
_LONGEST = 4096  # characters of one value; no honest one comes near


def to_xml(message: Message, source: Source) -> bytes:
    """UTF-8, without a line end anywhere."""
    root = Element("AuditMessage")
    event = SubElement(
        root,
        "EventIdentification",
        EventActionCode=message.action,
        EventDateTime=_moment(message.at),
        EventOutcomeIndicator=str(int(message.outcome)),
    )
    _code(event, "EventID", message.event)
    if message.kind is not None:
        _code(event, "EventTypeCode", message.kind)
    if message.why:
        SubElement(event, "EventOutcomeDescription").text = _fit(message.why)
    for party in message.parties:
        _party(root, party)
    _source(root, source)
    for subject in message.subjects:
        _subject(root, subject)
    return _HEAD + tostring(root, encoding="unicode").encode()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fit(text: str) -> str:
    r"""A character that cannot be written stands as \u001b does: readable, and no other value."""
    return _UNFIT.sub(lambda found: f"\\u{ord(found.group()):04x}", text[:_LONGEST])


def _code(parent: Element, name: str, code: Code) -> None:
    SubElement(
        parent,
        name,
        {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.meaning},
    )


def _party(root: Element, party: Party) -> None:
    element = SubElement(root, "ActiveParticipant", UserID=_fit(party.user_id))
    if party.alternative_id:
        element.set("AlternativeUserID", _fit(party.alternative_id))
    if party.name:
        element.set("UserName", _fit(party.name))
    element.set("UserIsRequestor", "true" if party.is_requestor else "false")
    if party.address:
        element.set("NetworkAccessPointID", _fit(party.address))
        element.set("NetworkAccessPointTypeCode", _kind_of(party.address))
    if party.role is not None:
        _code(element, "RoleIDCode", party.role)
    if party.medium is not None:
        _code(SubElement(element, "MediaIdentifier"), "MediaType", party.medium)


def _kind_of(address: str) -> str:
    """NetworkAccessPointTypeCode: 1 the name of a machine, 2 an IP address, 5 a URI."""
    if "://" in address:
        return "5"
    try:
        ip_address(address)
    except ValueError:
        return "1"
    return "2"


def _source(root: Element, source: Source) -> None:
    element = SubElement(root, "AuditSourceIdentification")
    if source.enterprise_site_id:
        element.set("AuditEnterpriseSiteID", _fit(source.enterprise_site_id))
    element.set("AuditSourceID", _fit(source.source_id))
    SubElement(element, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})


def _subject(root: Element, subject: Subject) -> None:
    element = SubElement(root, "ParticipantObjectIdentification")
    element.set("ParticipantObjectID", _fit(subject.id))
    element.set("ParticipantObjectTypeCode", str(subject.kind))
    if subject.role is not None:
        element.set("ParticipantObjectTypeCodeRole", str(subject.role))
    if subject.life_cycle is not None:
        element.set("ParticipantObjectDataLifeCycle", str(subject.life_cycle))
    _code(element, "ParticipantObjectIDTypeCode", subject.id_type)
    if subject.query is None:
        SubElement(element, "ParticipantObjectName").text = _fit(subject.name)
    else:
        SubElement(element, "ParticipantObjectQuery").text = _base64(subject.query)
    for name, value in subject.details:
        SubElement(element, "ParticipantObjectDetail", type=_fit(name), value=_base64(value))
    if subject.accession_number or subject.sop_classes:
        _description(element, subject)


def _description(element: Element, subject: Subject) -> None:
    described = SubElement(element, "ParticipantObjectDescription")
    if subject.accession_number:
        SubElement(described, "Accession", Number=_fit(subject.accession_number))
    for uid, number in sorted(subject.sop_classes.items()):
        SubElement(described, "SOPClass", UID=_fit(uid), NumberOfInstances=str(number))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
