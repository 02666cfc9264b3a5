"""Whether a series of another study is from before this one."""

from collections.abc import Mapping, Sequence

from dicom_ai_node.config.rules import Prior
from dicom_ai_node.routing.facts import day_of
from dicom_ai_node.study import Series, Values


def not_earlier(series: Series, current: Sequence[Series], prior: Prior) -> str | None:
    """Why this is no prior of the study that came, or None; by StudyDate, then by StudyTime."""
    moments = [found for each in current if (found := _moment(each.attributes))]
    then = _moment(series.attributes)
    if then is None or not moments:
        return "StudyDate is missing, so nobody knows which study is the earlier one"
    now = min(moments)
    days = now[0] - then[0]
    if then >= now:
        return "it is not from an earlier study"
    if days > prior.within_days:
        return f"it is {days} days older; wanted: at most {prior.within_days:g}"
    return None


def _moment(attributes: Mapping[str, Values]) -> tuple[int, str] | None:
    """Day and time, to compare."""
    day = day_of(attributes, "StudyDate")
    times = sorted(str(value) for value in attributes.get("StudyTime", ()))
    return (day.toordinal(), times[0] if times else "") if day else None
