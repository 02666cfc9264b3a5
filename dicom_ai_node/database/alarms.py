"""Alarms as rows: what is wrong, since when, and what is to be done.

One writer: the tick of the deliver role; a person acknowledges.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, insert, select, update

from dicom_ai_node.database import notifications
from dicom_ai_node.database.notifications import What
from dicom_ai_node.database.tables import alarm
from dicom_ai_node.errors import NodeError

Severity = Literal["warning", "critical"]

REMIND_AFTER_S = 86_400.0
_SUBJECT = 64  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What a person must hear of, as it was found just now."""

    name: str  # its heading in docs/runbook.md
    subject: str  # a peer, a model, a disk: never what identifies a patient
    severity: Severity
    text: str  # one sentence and the next step

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.subject[:_SUBJECT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """`name` is its heading in docs/runbook.md; `subject` tells two of one name apart."""

    id: int
    name: str
    subject: str  # a peer, a model, a disk: never what identifies a patient
    severity: Severity
    text: str  # one sentence and the next step
    since: float
    seen_at: float  # when what is wrong was last found to be so
    told_at: float  # when the last notifications were made
    ended_at: float | None
    acknowledged_by: str | None
    acknowledged_at: float | None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What `settle` did about one alarm."""

    alarm: Alarm
    what: What


_COLUMNS = tuple(alarm.c[name] for name in Alarm.__dataclass_fields__)
# the channels that want to hear of an alarm
Wanting = Callable[[Alarm], Collection[str]]


def active(connection: Connection) -> list[Alarm]:
    """Those that have not ended, the oldest first."""
    query = select(*_COLUMNS).where(alarm.c.ended_at.is_(None)).order_by(alarm.c.since)
    return [Alarm(**row) for row in connection.execute(query).mappings()]


def listing(connection: Connection, *, limit: int) -> list[Alarm]:
    """The newest first, ended ones too."""
    query = select(*_COLUMNS).order_by(alarm.c.id.desc()).limit(limit)
    return [Alarm(**row) for row in connection.execute(query).mappings()]


def find(connection: Connection, alarm_id: int) -> Alarm | None:
    row = connection.execute(select(*_COLUMNS).where(alarm.c.id == alarm_id)).mappings().first()
    return Alarm(**row) if row else None


def acknowledge(connection: Connection, alarm_id: int, *, by: str, now: float) -> Alarm:
    """Somebody takes care of it: no reminders, until it gets worse or comes again. Raises
    NodeError."""
    found = find(connection, alarm_id)
    if found is None or found.ended_at is not None:
        gone = "there is none" if found is None else "it has ended"
        raise NodeError(f"alarm {alarm_id}: {gone}; `alarms list` shows those that are active")
    _set(connection, found, acknowledged_by=by[:64], acknowledged_at=now)
    return found


def settle(
    connection: Connection,
    troubles: Iterable[Trouble],
    wanting: Wanting,
    *,
    ends_after_s: Mapping[str, float],
    now: float,
) -> list[Change]:
    """Make the active alarms what was found just now, and the notifications with them.

    What is gone ends when it has been so for `ends_after_s`, by its name: what comes and goes is
    one alarm, and not twenty.
    """
    found = {each.key: each for each in troubles}
    before = {each.key: each for each in active(connection)}
    changes = [_raise(connection, each, now) for key, each in found.items() if key not in before]
    for key, each in before.items():
        if key in found:
            changes += _go_on(connection, each, found[key], now)
        elif not 0 <= now - each.seen_at < ends_after_s.get(each.name, 0.0):
            changes.append(_end(connection, each, now))
    for change in changes:
        channels = wanting(change.alarm)
        notifications.add(connection, change.alarm.id, channels, change.what, now=now)
    return changes


def _raise(connection: Connection, trouble: Trouble, now: float) -> Change:
    values = {
        "name": trouble.name,
        "subject": trouble.subject[:_SUBJECT],
        "severity": trouble.severity,
        "text": trouble.text,
        "since": now,
        "seen_at": now,
        "told_at": now,
    }
    row = connection.execute(insert(alarm).values(values).returning(*_COLUMNS)).mappings().one()
    return Change(alarm=Alarm(**row), what=What.RAISED)


def _go_on(connection: Connection, known: Alarm, trouble: Trouble, now: float) -> list[Change]:
    """A new text alone tells nobody; what got worse does, even those who had acknowledged it."""
    values: dict[str, object] = {
        "seen_at": now,
        "text": trouble.text,
        "severity": trouble.severity,
    }
    what: What | None = None
    if trouble.severity == "critical" and known.severity == "warning":
        what = What.WORSE
        values |= {"acknowledged_by": None, "acknowledged_at": None}
    elif known.acknowledged_at is None and not 0 <= now - known.told_at < REMIND_AFTER_S:
        what = What.REMINDER
    if what is not None:
        values["told_at"] = now
    _set(connection, known, **values)
    after = find(connection, known.id)
    return [Change(alarm=after, what=what)] if what is not None and after is not None else []


def _end(connection: Connection, known: Alarm, now: float) -> Change:
    _set(connection, known, ended_at=now)
    return Change(alarm=known, what=What.ENDED)


def _set(connection: Connection, known: Alarm, **values: object) -> None:
    connection.execute(update(alarm).where(alarm.c.id == known.id).values(values))
