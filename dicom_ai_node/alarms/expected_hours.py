"""How long a node has heard nothing, of the hours in which it should hear something."""

from datetime import datetime, time, timedelta, tzinfo

from dicom_ai_node.config.alarms import WEEKDAYS, StudiesComeSettings

_HOUR_S = 3600.0
_MOST_DAYS = 400  # longer silence is no longer counted


def expected_hours(
    since: float, until: float, come: StudiesComeSettings, zone: tzinfo | None = None
) -> float:
    """Of the time between, what lies in those hours; local time, or that of `zone`."""
    if until <= since:
        return 0.0
    first = datetime.fromtimestamp(since, zone)
    last = datetime.fromtimestamp(until, zone)
    found = 0.0
    for number in range(min((last.date() - first.date()).days, _MOST_DAYS) + 1):
        day = first.date() + timedelta(days=number)
        if WEEKDAYS[day.weekday()] in come.weekdays:
            opens, closes = _hours(come)
            start = datetime.combine(day, opens, zone)
            end = (
                datetime.combine(day, closes, zone)
                if closes is not None
                else datetime.combine(day + timedelta(days=1), time(), zone)
            )
            found += max(0.0, min(end.timestamp(), until) - max(start.timestamp(), since))
    return found / _HOUR_S


def _hours(come: StudiesComeSettings) -> tuple[time, time | None]:
    """None: midnight at its end."""
    if come.between is None:
        return time(), None
    opens, closes = come.between
    return time.fromisoformat(opens), time.fromisoformat(closes)
