"""How numbers and times stand in an alarm."""

from datetime import datetime


def how_long(seconds: float) -> str:
    """In the largest unit that leaves more than one: 90 min, 30 h, 3 days."""
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:.0f} days"
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{max(0.0, seconds) / 60:.0f} min"


def day(seconds: float) -> str:
    """Local."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def many(number: int, one: str, several: str = "") -> str:
    """1 job, 2 jobs; 1 study, 2 studies."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
