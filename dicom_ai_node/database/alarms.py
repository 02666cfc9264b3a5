"""Alarms as rows: what is wrong, since when, and what is to be done."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select

from dicom_ai_node.database.tables import alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """`name` is its heading in docs/runbook.md; `subject` tells two of one name apart."""

    id: int
    name: str
    subject: str  # a peer, a model, a disk: never what identifies a patient
    severity: Literal["warning", "critical"]
    text: str  # one sentence and the next step
    since: float
    ended_at: float | None


def active(connection: Connection) -> list[Alarm]:
    """Those that have not ended, the oldest first."""
    columns = (alarm.c[name] for name in Alarm.__dataclass_fields__)
    query = select(*columns).where(alarm.c.ended_at.is_(None)).order_by(alarm.c.since)
    return [Alarm(**row) for row in connection.execute(query).mappings()]
