"""The trail, read: for people at a terminal, and for what sends it on."""

import base64
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dicom_ai_node.audit import codes
from dicom_ai_node.audit.lines import Line, day_files, parse_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message, in the words that a list has room for."""

    number: int
    at: float
    event: str
    kind: str
    outcome: int
    who: str  # asked for it
    address: str
    others: tuple[str, ...]
    addresses: tuple[str, ...]  # of those, each; empty where it has none
    study_instance_uid: str
    patient_id: str
    what: str  # the verb, what was refused, what failed
    xml: str


def entries(folder: Path, *, since: float = 0.0, study_instance_uid: str = "") -> Iterator[Entry]:
    """The oldest first."""
    for line in every_line(folder):
        if study_instance_uid and study_instance_uid.encode() not in line.body:
            continue
        entry = _entry(line)
        if entry is None or entry.at < since:
            continue
        if study_instance_uid in ("", entry.study_instance_uid):
            yield entry


def turned_away(folder: Path, *, since: float) -> Iterator[Entry]:
    """Who knocked at the node and was not known, the oldest first; the others have an address."""
    first_day = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d}"
    code = codes.NODE_AUTHENTICATION.value.encode()
    for line in every_line(folder, first_day=first_day):
        entry = _entry(line) if code in line.body else None
        if entry is None or entry.kind != codes.NODE_AUTHENTICATION.meaning or entry.at < since:
            continue
        if entry.outcome and any(entry.addresses):
            yield entry


def every_line(folder: Path, *, first_day: str = "") -> Iterator[Line]:
    """Without those that somebody has spoilt: `verify` names them."""
    for path in day_files(folder):
        if path.name < first_day:
            continue
        with path.open("rb") as file:
            for content in file:
                line = parse_line(content.removesuffix(b"\n"))
                if line is not None:
                    yield line


def moment_of(body: bytes) -> float | None:
    """When a message says that it happened, in seconds since the epoch."""
    _, _, rest = body.partition(b' EventDateTime="')
    try:
        return datetime.fromisoformat(rest[:24].decode("ascii")).timestamp()
    except ValueError:
        return None


def _entry(line: Line) -> Entry | None:
    try:
        root = ET.fromstring(line.body)  # noqa: S314 — our own, and without a DTD
        event = root.find("EventIdentification")
        parties = root.findall("ActiveParticipant")
        at = moment_of(line.body)
        if event is None or at is None or not parties:
            return None
    except ET.ParseError:
        return None
    first = next((each for each in parties if each.get("UserIsRequestor") == "true"), parties[0])
    others = [each for each in parties if each is not first]
    subjects = root.findall("ParticipantObjectIdentification")
    return Entry(
        number=line.number,
        at=at,
        event=_meaning(event.find("EventID")),
        kind=_meaning(event.find("EventTypeCode")),
        outcome=int(event.get("EventOutcomeIndicator", "0")),
        who=first.get("UserID", ""),
        address=first.get("NetworkAccessPointID", ""),
        others=tuple(each.get("UserID", "") for each in others),
        addresses=tuple(each.get("NetworkAccessPointID", "") for each in others),
        study_instance_uid=_named(subjects, codes.STUDY.value),
        patient_id=_named(subjects, codes.PATIENT.value),
        what=_what(event, subjects),
        xml=line.body.decode(),
    )


def _meaning(code: ET.Element | None) -> str:
    return "" if code is None else code.get("originalText", "")


def _named(subjects: list[ET.Element], code: str) -> str:
    for each in subjects:
        kind = each.find("ParticipantObjectIDTypeCode")
        if kind is not None and kind.get("csd-code") == code:
            return each.get("ParticipantObjectID", "")
    return ""


def _what(event: ET.Element, subjects: list[ET.Element]) -> str:
    told = event.findtext("EventOutcomeDescription", "")
    for each in subjects:
        for detail in each.findall("ParticipantObjectDetail"):
            if detail.get("type") == "Alert Description":
                said = base64.b64decode(detail.get("value", "")).decode(errors="replace")
                named = _name_of(each)
                return f"{said} ({named})" if named else said
    return told


def _name_of(subject: ET.Element) -> str:
    kind = subject.find("ParticipantObjectIDTypeCode")
    code = "" if kind is None else kind.get("csd-code", "")
    id_ = subject.get("ParticipantObjectID", "")
    return {codes.JOB.value: f"job {id_}", codes.NAMED.value: id_}.get(code, "")
