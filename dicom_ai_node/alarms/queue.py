"""Alarms about work that does not go on."""

from collections.abc import Iterator

from dicom_ai_node.alarms.facts import Facts
from dicom_ai_node.alarms.words import how_long, many
from dicom_ai_node.config.alarm_names import AlarmName
from dicom_ai_node.config.alarms import AlarmSettings
from dicom_ai_node.database.alarms import Severity, Trouble
from dicom_ai_node.job import JobState
from dicom_ai_node.study import StudyState

_DEAD = {
    JobState.UNDELIVERED: "a peer refused results of {jobs}",
    JobState.QUARANTINED: "{jobs} failed again and again",
}


def troubles(facts: Facts, settings: AlarmSettings, now: float) -> Iterator[Trouble]:
    yield from _dead_letters(facts)
    yield from _studies(facts)
    yield from _late(facts, settings, now)


def _dead_letters(facts: Facts) -> Iterator[Trouble]:
    for state, text in _DEAD.items():
        if number := facts.books.dead_letters[state.value]:
            yield Trouble(
                name=AlarmName.DEAD_LETTERS,
                subject=state.value,
                severity="warning",
                text=f"{text.format(jobs=many(number, 'job'))}: see `dicom-ai-node jobs list "
                "--dead`, mend what is said there, then run `dicom-ai-node jobs retry --dead`",
            )


def _studies(facts: Facts) -> Iterator[Trouble]:
    lost = facts.lost_studies
    others = facts.books.dead_letters[StudyState.NEEDS_REVIEW.value] - lost
    if lost:
        yield Trouble(
            name=AlarmName.STORED_DAMAGED,
            subject="studies",
            severity="critical",
            text=f"stored images of {many(lost, 'study', 'studies')} are gone or damaged: send "
            "these again (`dicom-ai-node studies list`), and have the disk looked at",
        )
    if others > 0:
        yield Trouble(
            name=AlarmName.NEEDS_REVIEW,
            subject="studies",
            severity="warning",
            text=f"{many(others, 'study', 'studies')} wait for a person's decision: `dicom-ai-node "
            "studies list` says what is to be done with each",
        )


def _late(facts: Facts, settings: AlarmSettings, now: float) -> Iterator[Trouble]:
    """While the node is drained no job begins, as somebody wants it."""
    if facts.is_draining:
        return
    since = facts.queue.oldest
    is_idle = not facts.books.jobs[JobState.RUNNING.value]
    idle_since = max(since or now, facts.queue.last_begun or 0.0)  # it may be between two jobs
    if since is not None and is_idle and now - idle_since >= settings.worker_silent_min * 60:
        yield _waits(
            AlarmName.WORKER_SILENT,
            "critical",
            f"jobs have waited for {how_long(now - since)}, and nobody works on any: see whether "
            "the role `work` runs, and what it says in the log",
        )
    since = facts.queue.oldest_in_a_hurry
    if since is not None and not is_idle and now - since >= settings.queue_late_min * 60:
        yield _waits(
            AlarmName.QUEUE_LATE,
            "warning",
            f"the oldest job has waited for its turn for {how_long(now - since)}: `dicom-ai-node "
            "jobs list --state queued`; put off what may wait, or add a device to work.devices",
        )


def _waits(name: AlarmName, severity: Severity, text: str) -> Trouble:
    return Trouble(name=name, subject="queue", severity=severity, text=text)
