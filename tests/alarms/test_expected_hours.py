"""Silence counts only in the hours in which studies come."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from dicom_ai_node.alarms.expected_hours import expected_hours
from dicom_ai_node.config.alarms import StudiesComeSettings

ALWAYS = StudiesComeSettings()
OFFICE = StudiesComeSettings(
    between=("07:00", "19:00"), weekdays=("mon", "tue", "wed", "thu", "fri")
)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2026-03-06 18:00", "2026-03-09 08:00", 2),  # Friday evening to Monday morning
        ("2026-03-07 10:00", "2026-03-08 22:00", 0),  # a quiet weekend
        ("2026-03-09 09:00", "2026-03-10 09:00", 12),
        ("2026-03-09 03:00", "2026-03-09 05:00", 0),
        ("2026-03-09 09:00", "2026-03-09 08:00", 0),  # the clock was set back
    ],
)
def test_hours_of_the_office(since: str, until: str, hours: float) -> None:
    assert expected_hours(at(since), at(until), OFFICE, UTC) == pytest.approx(hours)


def test_without_hours_all_of_them_count() -> None:
    found = expected_hours(at("2026-03-06 18:30"), at("2026-03-09 08:00"), ALWAYS, UTC)
    assert found == pytest.approx(61.5)


def test_a_day_of_23_hours_has_23() -> None:
    """The clocks go on by an hour on the night to Sunday, 29 March 2026."""
    berlin = ZoneInfo("Europe/Berlin")
    begin = datetime(2026, 3, 29, tzinfo=berlin).timestamp()
    end = datetime(2026, 3, 30, tzinfo=berlin).timestamp()
    assert expected_hours(begin, end, ALWAYS, berlin) == pytest.approx(23)
