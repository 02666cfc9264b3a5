"""The rows: raised once, kept up to date, ended, and told of to whom it concerns."""

import pytest
from sqlalchemy import select

from dicom_ai_node.database import alarms
from dicom_ai_node.database.alarms import Alarm, Trouble
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.notifications import What
from dicom_ai_node.database.tables import notification
from dicom_ai_node.errors import NodeError
from tests.alarms.made import DAY, NOW


def trouble(
    text: str = "it is away", *, subject: str = "pacs", severity: alarms.Severity = "warning"
) -> Trouble:
    return Trouble(name="peer_unreachable", subject=subject, severity=severity, text=text)


def settled(database: Database, *found: Trouble, now: float, ends_after_s: float = 0) -> list[What]:
    with database.write() as connection:
        changes = alarms.settle(
            connection,
            found,
            lambda alarm: ["email"] if alarm.subject == "pacs" else [],
            ends_after_s={"peer_unreachable": ends_after_s},
            now=now,
        )
    return [each.what for each in changes]


def active(database: Database) -> list[Alarm]:
    with database.read() as connection:
        return alarms.active(connection)


def told(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(notification.c.what)).scalars())


def test_it_is_raised_once_and_says_what_is_so_now(database: Database) -> None:
    assert settled(database, trouble("2 objects"), now=NOW) == ["raised"]
    assert settled(database, trouble("9 objects"), now=NOW + 30) == []
    (found,) = active(database)
    assert (found.text, found.since) == ("9 objects", NOW)
    assert told(database) == ["raised"]


def test_it_ends_when_it_is_gone_and_comes_again_as_another(database: Database) -> None:
    settled(database, trouble(), now=NOW)
    assert settled(database, now=NOW + 30) == ["ended"]
    assert active(database) == []
    assert settled(database, trouble(), now=NOW + 60) == ["raised"]
    assert told(database) == ["raised", "ended", "raised"]


def test_what_comes_and_goes_is_one_alarm(database: Database) -> None:
    """Away every other half minute for ten minutes."""
    for step in range(20):
        found = [trouble()] if step % 2 == 0 else []
        settled(database, *found, now=NOW + step * 30, ends_after_s=120)
    assert len(active(database)) == 1
    assert told(database) == ["raised"]
    assert settled(database, now=NOW + 20 * 30 + 120, ends_after_s=120) == ["ended"]


def test_a_reminder_comes_once_a_day(database: Database) -> None:
    said = [settled(database, trouble(), now=NOW + hours * 3600) for hours in range(50)]
    assert [hours for hours, what in enumerate(said) if what] == [0, 24, 48]
    assert said[24] == ["reminder"]


def test_who_has_acknowledged_it_is_not_reminded_until_it_gets_worse(database: Database) -> None:
    settled(database, trouble(), now=NOW)
    (found,) = active(database)
    with database.write() as connection:
        alarms.acknowledge(connection, found.id, by="anna", now=NOW + 60)
    assert settled(database, trouble(), now=NOW + 2 * DAY) == []
    worse = trouble(severity="critical")
    assert settled(database, worse, now=NOW + 2 * DAY + 30) == ["worse"]
    (found,) = active(database)
    assert (found.severity, found.acknowledged_by) == ("critical", None)
    # better again is no news
    assert settled(database, trouble(), now=NOW + 2 * DAY + 60) == []


def test_only_an_active_alarm_can_be_acknowledged(database: Database) -> None:
    settled(database, trouble(), now=NOW)
    (found,) = active(database)
    settled(database, now=NOW + 30)
    with database.write() as connection:
        with pytest.raises(NodeError, match="it has ended"):
            alarms.acknowledge(connection, found.id, by="anna", now=NOW)
        with pytest.raises(NodeError, match="there is none"):
            alarms.acknowledge(connection, 99, by="anna", now=NOW)


def test_channels_are_told_of_what_they_want(database: Database) -> None:
    assert settled(database, trouble(subject="archive"), now=NOW) == ["raised"]
    assert told(database) == []


def test_a_clock_that_was_set_back_keeps_no_alarm_for_ever(database: Database) -> None:
    settled(database, trouble(), now=NOW, ends_after_s=120)
    assert settled(database, now=NOW - DAY, ends_after_s=120) == ["ended"]


def test_a_subject_that_is_too_long_is_one_subject(database: Database) -> None:
    """A model's name and version may be longer than the column."""
    settled(database, trouble(subject="m" * 90), now=NOW)
    assert settled(database, trouble(subject="m" * 90), now=NOW + 30) == []
    assert len(active(database)) == 1
