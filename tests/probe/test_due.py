"""When the node tries itself again."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dicom_ai_node.config.alarms import ProbeSettings
from dicom_ai_node.probe.due import is_due


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def settings(**when: Any) -> ProbeSettings:
    return ProbeSettings(peer="pacs", **when)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, "2026-03-04 05:00", True),  # it was never tried
        ("2026-03-04 06:30", "2026-03-05 06:29", False),
        ("2026-03-04 06:30", "2026-03-05 06:30", True),
        ("2026-03-04 12:00", "2026-03-05 06:00", False),  # by a person, yesterday
        ("2026-03-04 12:00", "2026-03-05 06:31", True),
        ("2026-03-01 06:30", "2026-03-05 23:00", True),  # once for all that was missed
        ("2026-03-05 23:00", "2026-03-05 23:30", False),
        ("2026-03-09 06:30", "2026-03-05 06:30", True),  # the clock was set back
    ],
)
def test_once_a_day_at_its_time(last: str | None, now: str, due: bool) -> None:
    before = None if last is None else at(last)
    assert is_due(settings(at="06:30"), before, now=at(now), zone=UTC) is due


def test_every_so_many_hours() -> None:
    often = settings(every_h=0.5)
    assert not is_due(often, 1000, now=1000 + 1799)
    assert is_due(often, 1000, now=1000 + 1800)
    assert is_due(often, 1000, now=900)
