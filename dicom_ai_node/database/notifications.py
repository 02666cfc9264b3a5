"""Notifications: rows that are there until their channel has taken them, over every restart."""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from dicom_ai_node.database.tables import alarm, notification

_KEEP_S = 90 * 86_400.0  # those that were sent


class What(enum.StrEnum):
    """What has become of the alarm."""

    RAISED = "raised"
    WORSE = "worse"  # a warning has become critical
    REMINDER = "reminder"
    ENDED = "ended"


class NotificationState(enum.StrEnum):
    PENDING = "pending"
    SENT = "sent"
    GIVEN_UP = "given_up"  # nobody took it for days, or the channel is no longer configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """With what a message says of its alarm, as that is now."""

    id: int
    alarm_id: int
    channel: str
    what: What
    tries: int
    created_at: float
    name: str
    subject: str
    severity: str
    text: str
    since: float
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Of one channel."""

    messages: int
    since: float
    status: str | None  # what was answered last


def add(
    connection: Connection, alarm_id: int, channels: Collection[str], what: What, *, now: float
) -> None:
    rows = [
        {
            "alarm_id": alarm_id,
            "channel": channel,
            "what": what,
            "state": NotificationState.PENDING,
            "next_try_at": now,
            "created_at": now,
        }
        for channel in channels
    ]
    if rows:
        connection.execute(insert(notification), rows)


def due(
    connection: Connection, channel: str, *, now: float, longest_s: float, limit: int = 20
) -> Sequence[Notification]:
    """What a channel is to be sent now, the oldest first. What seems to wait longer than anything
    does was put off before the clock was set back."""
    query = (
        select(
            *(notification.c[name] for name in ("id", "alarm_id", "channel", "what", "tries")),
            notification.c.created_at,
            *(alarm.c[name] for name in ("name", "subject", "severity", "text", "since")),
            alarm.c.ended_at,
        )
        .join(alarm)
        .where(
            notification.c.state == NotificationState.PENDING,
            notification.c.channel == channel,
            or_(
                notification.c.next_try_at <= now,
                notification.c.next_try_at > now + longest_s,
            ),
        )
        .order_by(notification.c.id)
        .limit(limit)
    )
    return [
        Notification(**{**row, "what": What(row["what"])})
        for row in connection.execute(query).mappings()
    ]


def finish(
    connection: Connection, id_: int, state: NotificationState, *, status: str, now: float
) -> None:
    connection.execute(
        update(notification)
        .where(notification.c.id == id_)
        .values(state=state, status=status, finished_at=now, tries=notification.c.tries + 1)
    )


def put_off(connection: Connection, ids: Collection[int], *, status: str, until: float) -> None:
    connection.execute(
        update(notification)
        .where(notification.c.id.in_(ids))
        .values(next_try_at=until, status=status, tries=notification.c.tries + 1)
    )


def put_off_channel(connection: Connection, channel: str, *, status: str, until: float) -> None:
    """All that waits for it, together: one try is one for all."""
    connection.execute(
        update(notification)
        .where(
            notification.c.channel == channel,
            notification.c.state == NotificationState.PENDING,
            notification.c.next_try_at < until,
        )
        .values(next_try_at=until, status=status, tries=notification.c.tries + 1)
    )


def give_up(connection: Connection, *, known: Collection[str], before: float, now: float) -> int:
    """What no channel of these takes any more, or what has waited since before then; how much that
    was. What was sent long ago is forgotten."""
    ended = connection.execute(
        update(notification)
        .where(
            notification.c.state == NotificationState.PENDING,
            or_(notification.c.channel.not_in(known), notification.c.created_at < before),
        )
        .values(state=NotificationState.GIVEN_UP, finished_at=now)
    )
    connection.execute(delete(notification).where(notification.c.finished_at < now - _KEEP_S))
    return int(ended.rowcount)


def backlog(connection: Connection) -> dict[str, Backlog]:
    """By channel, what it has not taken yet."""
    query = (
        select(
            notification.c.channel,
            func.count(),
            func.min(notification.c.created_at),
            func.max(notification.c.status),
        )
        .where(notification.c.state == NotificationState.PENDING)
        .group_by(notification.c.channel)
    )
    return {
        channel: Backlog(messages=number, since=since, status=status)
        for channel, number, since, status in connection.execute(query)
    }
