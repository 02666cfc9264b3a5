"""The table of `jobs list`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.table import Table

from dicom_ai_node.cli.show import coloured, moment_and_age
from dicom_ai_node.database.jobs import NOT_YET
from dicom_ai_node.job import Job, JobState

_DAY_S = 86_400


def table_of(found: Sequence[Job], waits: Mapping[int, str], *, now: float) -> Table:
    """`waits`: by job, why it is not run or not sent."""
    table = Table("Job", "Created", "Model", "Priority", "State", "Outcome", "Tries", "Why")
    for job in found:
        table.add_row(
            str(job.id),
            moment_and_age(job.created_at, now=now),
            f"{job.model} {job.version}",
            job.priority,
            coloured(job.state),
            job.outcome or "",
            str(job.attempts),
            waits.get(job.id) or job.error_text or job.reason or "",
        )
    return table


def waits_for_time(job: Job, *, now: float) -> str | None:
    """Of one that its route runs at certain hours, or that is tried again later."""
    if job.state is not JobState.QUEUED or job.run_after <= now:
        return None
    if job.run_after >= NOT_YET:
        return "waits for the result that it builds on"
    form = "%H:%M" if job.run_after - now < _DAY_S else "%Y-%m-%d %H:%M"
    until = datetime.fromtimestamp(job.run_after, UTC).astimezone().strftime(form)
    if job.attempts and job.error_text:
        return f"tried again at {until}: {job.error_text}"
    return f"waits until {until}"
