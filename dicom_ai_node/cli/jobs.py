"""`jobs list`, `show`, `retry`, `cancel` and `prioritise`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import Connection

from dicom_ai_node import next_step
from dicom_ai_node.cli import completing, watching
from dicom_ai_node.cli.job_list import table_of, waits_for_time
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import console, moment, print_json, state_in_words
from dicom_ai_node.cli.watching import Watch
from dicom_ai_node.config.disabled import read_disabled
from dicom_ai_node.database import dead_letters, deliveries, operated, tallies, waiting
from dicom_ai_node.database import jobs as job_table
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import DEAD, DeliveryState, Job, JobState, Priority

app = typer.Typer(help="The queue: see, retry, cancel, prioritise.", no_args_is_help=True)

JobId = Annotated[
    int,
    typer.Argument(
        max=2**62,
        help="The job's number, as `jobs list` shows it.",
        autocompletion=completing.job_numbers,
    ),
]
_MOMENTS = ("created_at", "run_after", "lease_expires_at")
_WAITS_FOR_A_MASK = "when the result that it builds on is there"
JobIds = Annotated[
    list[int] | None,
    typer.Argument(
        max=2**62,
        help="Numbers, as `jobs list` shows them.",
        autocompletion=completing.job_numbers,
    ),
]
Dead = Annotated[bool, typer.Option("--dead", help="Those undelivered or quarantined.")]


@app.command(name="list")
def list_(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    dead: Dead = False,
    limit: Annotated[
        int, typer.Option(min=1, max=2**62, help="At most so many, the newest first.")
    ] = 50,
    notes: Annotated[
        bool, typer.Option("--notes", help="Also those that send a rejection note, and no result.")
    ] = False,
    watch: Watch = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List jobs, the newest first."""
    node = open_node(config)

    def read() -> tuple[Sequence[Job], dict[int, str]]:
        with node.database.read() as connection:
            found = job_table.listing(
                connection,
                state=state,
                states=DEAD if dead else (),
                notes=notes or dead or state in DEAD,  # what waits for a person is never hidden
                limit=limit,
            )
            return found, _late(node, found) | _waits(node, connection, found)

    def data() -> list[dict[str, Any]]:
        found, waits = read()
        return [_as_dict(job, waits.get(job.id)) for job in found]

    def draw() -> Table:
        found, waits = read()
        return table_of(found, waits, now=node.database.now())

    watching.show(draw, data, as_json=as_json, again=watch)


@app.command()
def show(job_id: JobId, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Show one job: its events, and what became of each object at each peer."""
    node = open_node(config)
    with node.database.read() as connection:
        job = operated.job_of(connection, job_id)
        events = [dict(row) for row in job_table.events(connection, job_id)]
        sent = [dict(row) for row in deliveries.of_job(connection, job_id)]
        waits = (_late(node, [job]) | _waits(node, connection, [job])).get(job_id)
    if as_json:
        print_json({**_as_dict(job, waits), "events": events, "deliveries": sent})
        return
    out = console()
    for key, value in _as_dict(job, waits).items():
        if key != "inputs" and (key != "waits" or waits):
            out.print(f"{key:>20}  {_in_words(key, value)}", soft_wrap=True)
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
def retry(
    job_ids: JobIds = None,
    dead: Dead = False,
    peer: Annotated[
        str | None,
        typer.Option(
            help="Only what this peer did not take; with --dead, only that.",
            autocompletion=completing.peer_names,
        ),
    ] = None,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Run quarantined jobs again, or send undelivered ones again with the same objects."""
    node = open_node(config)
    database = node.database
    if peer is not None:
        _require_known(node, peer)
    with database.write() as connection:
        if dead:
            states = (JobState.UNDELIVERED,) if peer else DEAD
            chosen = dead_letters.retriable(connection, states, peer=peer)
        else:
            chosen = [operated.job_of(connection, job_id) for job_id in _named(job_ids)]
        for job in chosen:
            typer.echo(dead_letters.retry(connection, job, now=database.now(), peer=peer))
    if not chosen:
        typer.echo("There is nothing to be retried.")


@app.command()
def cancel(
    job_ids: JobIds = None,
    peer: Annotated[
        str | None,
        typer.Option(
            help="Only what this peer has not got, of all jobs.",
            autocompletion=completing.peer_names,
        ),
    ] = None,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Cancel jobs that have not ended, undelivered and quarantined ones included; or only what
    waits for one peer, such as one that is gone for good."""
    node = open_node(config)
    database = node.database
    if peer is not None:
        _give_up(node, peer, job_ids)
        return
    with database.write() as connection:
        for job_id in _named(job_ids):
            operated.cancel(connection, job_id, now=database.now())
    for job_id in _named(job_ids):
        typer.echo(f"Job {job_id} is cancelled.")


@app.command()
def prioritise(
    job_id: JobId,
    priority: Annotated[Priority, typer.Option("--as", help="How soon.")] = Priority.URGENT,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Put a queued job before others, or behind them."""
    with open_node(config).database.write() as connection:
        operated.prioritise(connection, job_id, priority)
    typer.echo(f"Job {job_id} is {priority}.")


def _give_up(node: Node, peer: str, job_ids: list[int] | None) -> None:
    _require_known(node, peer)
    with node.database.write() as connection:
        number = waiting.give_up(connection, peer, job_ids, now=node.database.now())
    typer.echo(f"{number} objects are not sent to {peer} any more; their jobs go on without it.")


def _require_known(node: Node, peer: str) -> None:
    """Configured, or somebody for whom something was once made."""
    with node.database.read() as connection:
        known = set(node.config.peers) | tallies.peers(connection)
    if peer not in known:
        raise NodeError(f"no peer {peer}: peers are {', '.join(sorted(known)) or 'not there'}")


def _late(node: Node, found: Sequence[Job]) -> dict[int, str]:
    """By job, what the clock is to say before it is run."""
    now = node.database.now()
    return {job.id: said for job in found if (said := waits_for_time(job, now=now))}


def _waits(node: Node, connection: Connection, found: Sequence[Job]) -> dict[int, str]:
    peers, disabled = node.config.peers, read_disabled(node.config.node.models)
    return operated.why_they_wait(connection, found, disabled=disabled, peers=peers)


def _as_dict(job: Job, waits: str | None) -> dict[str, Any]:
    return asdict(job) | {"waits": waits, "next_step": next_step.of_job(job, waits)}


def _in_words(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    if key in _MOMENTS and value is not None:
        return _WAITS_FOR_A_MASK if value >= job_table.NOT_YET else moment(value)
    return str(value)


def _named(job_ids: list[int] | None) -> list[int]:
    if not job_ids:
        raise NodeError("name the jobs by their numbers: see `dicom-ai-node jobs list`")
    return list(dict.fromkeys(job_ids))
