"""Messages against the schema of PS3.15 A.5.1, by xmllint."""

import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from dicom_ai_node.audit.read import every_line
from tests.tools import missing_tool

SCHEMA = Path(__file__).parent / "audit_message.rng"


def assert_valid(bodies: Iterable[bytes], home: Path) -> None:
    """Every one of them, in one go."""
    if shutil.which("xmllint") is None:
        missing_tool("xmllint")
    files = []
    for number, body in enumerate(bodies):
        files.append(home / f"message-{number}.xml")
        files[-1].write_bytes(body)
    assert files
    done = subprocess.run(
        ["xmllint", "--nonet", "--noout", "--relaxng", str(SCHEMA), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def parsed(body: bytes) -> ET.Element:
    return ET.fromstring(body)  # noqa: S314 — the node's own


def messages(folder: Path) -> list[ET.Element]:
    """All of a trail, the oldest first."""
    return [parsed(line.body) for line in every_line(folder)]


def event(message: ET.Element) -> str:
    """What happened, by its code's meaning, and how it ended where it did not go well."""
    found = message.find("EventIdentification")
    assert found is not None
    code = found.find("EventID")
    assert code is not None
    outcome = found.get("EventOutcomeIndicator")
    failed = "" if outcome == "0" else f" {outcome}"
    return f"{code.get('originalText')}{failed}"


def kind(message: ET.Element) -> str | None:
    found = message.find("EventIdentification/EventTypeCode")
    return None if found is None else found.get("originalText")


def subject(message: ET.Element, code: str) -> ET.Element | None:
    """The first that is identified in this way."""
    for each in message.findall("ParticipantObjectIdentification"):
        kind = each.find("ParticipantObjectIDTypeCode")
        if kind is not None and kind.get("csd-code") == code:
            return each
    return None


def identified(message: ET.Element, code: str) -> str | None:
    found = subject(message, code)
    return None if found is None else found.get("ParticipantObjectID")


def parties(message: ET.Element) -> list[str | None]:
    return [each.get("UserID") for each in message.findall("ActiveParticipant")]
