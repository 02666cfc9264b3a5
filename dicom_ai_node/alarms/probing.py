"""Alarms about the study with which the node tries itself."""

from collections.abc import Iterator

from dicom_ai_node.alarms.facts import Facts
from dicom_ai_node.alarms.words import day, how_long
from dicom_ai_node.config.alarm_names import AlarmName
from dicom_ai_node.config.alarms import ProbeSettings
from dicom_ai_node.database.alarms import Trouble


def troubles(facts: Facts, settings: ProbeSettings | None, now: float) -> Iterator[Trouble]:
    """A failure stands until a run has passed."""
    run = facts.probe_under_way
    if run is not None and settings and now - run.started_at > settings.within_min * 60:
        yield Trouble(
            name=AlarmName.PROBE_LATE,
            subject=run.peer,
            severity="warning",
            text=f"the known-answer study has not come back from {run.peer} for "
            f"{how_long(now - run.started_at)}; it stands at {run.stage} "
            f"({run.waits_for or 'no reason known'}): see that first",
        )
    last = facts.probe_finished
    if last is not None and settings is not None and last.passed is False:
        yield Trouble(
            name=AlarmName.PROBE_FAILED,
            subject=last.peer,
            severity="critical",
            text=f"the known-answer study of {day(last.started_at)} failed at {last.stage}: "
            f"{last.reason}; mend that, then run `dicom-ai-node probe`",
        )
