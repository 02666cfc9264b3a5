"""`probe`: the known-answer study goes the whole road, now."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.config.alarms_check import RUNBOOK
from dicom_ai_node.database import probe_runs
from dicom_ai_node.database.probe_runs import STAGES, ProbeRun, Stage
from dicom_ai_node.errors import NodeError

_POLL_S = 0.3
_NOBODY_S = 30.0  # the node looks every two seconds
_IN_WORDS = {
    Stage.SENDING: "sent to the node, as {model} takes it",
    Stage.JUDGING: "complete, and judged by its route",
    Stage.WORKING: "analysed by {model}",
    Stage.DELIVERING: "delivered to {peer}",
    Stage.ASKING: "{peer} has every result, by query",
    Stage.COMPARING: "the answer is the known one",
}


def add_to(app: typer.Typer) -> None:
    app.command()(probe)


def probe(
    last: Annotated[
        bool, typer.Option("--last", help="Show the last run, and begin none.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Send a made study with a known answer through the node, to its peer, and back by query.

    The node must run. Each stage is said as it passes; the exit status is 1 where one does not.
    """
    from dicom_ai_node.probe.run import begin

    node = open_node(config)
    if node.config.probe is None:
        raise NodeError(
            "no probe is configured: name at least `probe: {every_h: 24, peer: …}`, with its route and "
            f"its entry of accept ({RUNBOOK})"
        )
    if last:
        with node.database.read() as connection:
            found = probe_runs.last(connection)
        if found is None:
            raise NodeError("the node has not tried itself yet: run `dicom-ai-node probe`")
    else:
        with node.database.write() as connection:
            found = begin(connection, node.config.probe, now=node.database.now())
    run = found if last else _followed(node, found, quiet=as_json)
    if as_json:
        print_json(asdict(run))
    else:
        typer.echo(_said(run))
    if run.passed is False:
        raise typer.Exit(1)


def _followed(node: Node, run: ProbeRun, *, quiet: bool) -> ProbeRun:
    """Until it has ended."""
    said = 0
    waits_for: str | None = None
    began = time.monotonic()
    while True:
        with node.database.read() as connection:
            run = probe_runs.find(connection, run.id) or run
        behind = len(STAGES) if run.passed else STAGES.index(run.stage)
        if not quiet:
            for stage in STAGES[said:behind]:
                typer.echo(f"  ok  {_IN_WORDS[stage].format(model=run.model, peer=run.peer)}")
            if run.waits_for and run.waits_for != waits_for:
                typer.echo(f"  ..  {run.waits_for}")
        said, waits_for = max(said, behind), run.waits_for
        if run.finished_at is not None:
            return run
        if run.looked_at is None and time.monotonic() - began > _NOBODY_S:
            raise NodeError("nobody takes it up: start the node (`dicom-ai-node run`), and wait")
        time.sleep(_POLL_S)


def _said(run: ProbeRun) -> str:
    if run.finished_at is None:
        return f"under way: it stands at {run.stage} ({run.waits_for or 'it goes on'})"
    seconds = run.finished_at - run.started_at
    if run.passed:
        return f"passed in {seconds:.0f} s"
    return f"failed at {run.stage} after {seconds:.0f} s: {run.reason}"
