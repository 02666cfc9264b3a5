"""`jobs list`, `show`, `retry`, `cancel` and `prioritise`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import console, moment, print_json, state_in_words
from dicom_ai_node.config.disabled import Disabled, read_disabled
from dicom_ai_node.database import deliveries
from dicom_ai_node.database import jobs as job_table
from dicom_ai_node.database.retracted import is_retracted
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import DeliveryState, Job, JobState, Priority

app = typer.Typer(help="The queue: see, retry, cancel, prioritise.", no_args_is_help=True)

# what is of another form than that which the peer is sent

JobId = Annotated[int, typer.Argument(max=2**62, help="The job's number, as `jobs list` shows it.")]


@app.command(name="list")
def list_(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List jobs, the newest first."""
    node = open_node(config)
    with node.database.read() as connection:
        found = job_table.listing(connection, state=state, limit=limit)
    disabled = read_disabled(node.config.node.models)
    if as_json:
        print_json([asdict(job) | {"waits": _waits(job, disabled)} for job in found])
        return
    table = Table("Job", "Created", "Model", "Priority", "State", "Outcome", "Tries", "Why")
    for job in found:
        table.add_row(
            str(job.id),
            moment(job.created_at),
            f"{job.model} {job.version}",
            job.priority,
            job.state,
            job.outcome or "",
            str(job.attempts),
            _waits(job, disabled) or job.error_text or job.reason or "",
        )
    console().print(table)


@app.command()
def show(job_id: JobId, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Show one job: its events, and what became of each object at each peer."""
    node = open_node(config)
    with node.database.read() as connection:
        job = _find(connection, job_id)
        events = [dict(row) for row in job_table.events(connection, job_id)]
        sent = [dict(row) for row in deliveries.of_job(connection, job_id)]
    waits = _waits(job, read_disabled(node.config.node.models))
    if as_json:
        print_json({**asdict(job), "waits": waits, "events": events, "deliveries": sent})
        return
    out = console()
    for key, value in (asdict(job) | ({"waits": waits} if waits else {})).items():
        if key != "inputs":
            out.print(f"{key:>20}  {json.dumps(value) if isinstance(value, dict) else value}")
    table = Table("When", "From", "To", "Why", title="Events")
    for event in events:
        table.add_row(
            moment(event["at"]), event["from_state"] or "", event["to_state"], event["why"] or ""
        )
    out.print(table)
    table = Table("Peer", "Object", "State", "Tries", "Last answer", title="Deliveries")
    for row in sent:
        table.add_row(
            row["peer"],
            row["kind"],
            state_in_words(DeliveryState(row["state"]), wants_commitment=row["wants_commitment"]),
            str(row["tries"]),
            row["status"] or "",
        )
    out.print(table)


@app.command()
def retry(job_id: JobId, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Run a quarantined job again, or send an undelivered one again with the same objects."""
    database = open_node(config).database
    now = database.now()
    with database.write() as connection:
        job = _find(connection, job_id)
        if is_retracted(connection, job_id):
            raise NodeError(
                f"the results of job {job_id} were retracted and are not sent again: for new ones, "
                "enable the model and judge the study again (`studies judge`)"
            )
        if job.state is JobState.UNDELIVERED:
            number = deliveries.retry(connection, job, now=now)
            typer.echo(f"Job {job_id}: {number} objects are sent again.")
        elif job.state is JobState.QUARANTINED:
            job_table.move(
                connection,
                job,
                JobState.QUEUED,
                now=now,
                why="operator",
                attempts=0,
                run_after=now,
                error_kind=None,
                error_text=None,
            )
            typer.echo(f"Job {job_id} is queued again.")
        else:
            raise NodeError(
                f"job {job_id} is {job.state}: only undelivered and quarantined jobs can be retried"
            )


@app.command()
def cancel(job_id: JobId, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Cancel a job that is queued, running, or still being delivered."""
    database = open_node(config).database
    with database.write() as connection:
        job = _find(connection, job_id)
        if job.state not in (JobState.QUEUED, JobState.RUNNING, JobState.READY):
            raise NodeError(f"job {job_id} is {job.state} and cannot be cancelled any more")
        job_table.move(connection, job, JobState.CANCELLED, now=database.now(), why="operator")
    typer.echo(f"Job {job_id} is cancelled.")


@app.command()
def prioritise(
    job_id: JobId,
    priority: Annotated[Priority, typer.Option("--as", help="How soon.")] = Priority.URGENT,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Put a queued job before others, or behind them."""
    with open_node(config).database.write() as connection:
        job = _find(connection, job_id)
        if job.state is not JobState.QUEUED:
            raise NodeError(f"job {job_id} is {job.state}: only queued jobs have a priority")
        job_table.prioritise(connection, job, priority)
    typer.echo(f"Job {job_id} is {priority}.")


def _waits(job: Job, disabled: Mapping[tuple[str, str], Disabled]) -> str | None:
    """Why it is not run, where that is no matter of its turn."""
    marker = disabled.get((job.model, job.version))
    if marker is None or job.state is not JobState.QUEUED:
        return None
    return f"waits: {marker.sentence}"


def _find(connection: Any, job_id: int) -> Job:
    job = job_table.find(connection, job_id)
    if job is None:
        raise NodeError(f"there is no job {job_id}: see `dicom-ai-node jobs list`")
    return job
