"""When the node is to try itself again."""

from datetime import datetime, time, timedelta, tzinfo

from dicom_ai_node.config.alarms import ProbeSettings


def is_due(
    settings: ProbeSettings, last_started: float | None, *, now: float, zone: tzinfo | None = None
) -> bool:
    """`at` is local time, or that of `zone`. What was missed while the node was down is made up for
    once; a start that seems to be to come is of a clock that was set back since."""
    if last_started is None or last_started > now:
        return True
    if settings.every_h is not None:
        return now - last_started >= settings.every_h * 3600
    today = datetime.fromtimestamp(now, zone)
    at = datetime.combine(today.date(), time.fromisoformat(settings.at or "00:00"), zone)
    if at.timestamp() > now:
        at -= timedelta(days=1)
    return last_started < at.timestamp()
