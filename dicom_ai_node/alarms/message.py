"""What a person or a program is told of an alarm; nothing in it identifies a patient."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from dicom_ai_node.database.notifications import Notification, What

RUNBOOK = "docs/runbook.md"
_IN_WORDS = {
    What.RAISED: "",
    What.WORSE: "worse: ",
    What.REMINDER: "still: ",
    What.ENDED: "ended: ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`id` is the same when a message comes twice; `what` is raised, worse, reminder, ended or
    test. Times are ISO 8601, in UTC."""

    id: str
    node: str  # its AE title
    what: str
    name: str
    subject: str
    severity: str
    text: str
    since: str
    ended_at: str | None
    runbook: str

    def as_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @property
    def headline(self) -> str:
        how = _IN_WORDS[What(self.what)] if self.what in set(What) else f"{self.what}: "
        return f"[{self.node}] {how}{self.severity}: {self.name} {self.subject}"


def message_of(row: Notification, node: str) -> Message:
    ended = row.ended_at if row.what is What.ENDED else None
    return Message(
        id=f"{node}-{row.id}-{row.created_at:.0f}",
        node=node,
        what=row.what,
        name=row.name,
        subject=row.subject,
        severity=row.severity,
        text=row.text,
        since=_iso(row.since),
        ended_at=None if ended is None else _iso(ended),
        runbook=f"{RUNBOOK}#{row.name}",
    )


def trial(node: str, now: float) -> Message:
    """For `alarms test`."""
    return Message(
        id=f"{node}-test-{now:.3f}",
        node=node,
        what="test",
        name="test",
        subject="node",
        severity="warning",
        text="this is a test, and nothing is wrong: who reads this is told of alarms",
        since=_iso(now),
        ended_at=None,
        runbook=RUNBOOK,
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
