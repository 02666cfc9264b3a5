"""`probe`: the known-answer study goes the whole road, now."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from dicom_ai_node import in_force
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.config.alarms_check import RUNBOOK
from dicom_ai_node.database import probe_runs
from dicom_ai_node.database.probe_runs import STAGES, ProbeRun, Stage
from dicom_ai_node.errors import NodeError
from dicom_ai_node.spool import is_held

_POLL_S = 0.3
_NOBODY_S = 30.0  # the node looks every two seconds
_FAILS_AFTER = 2  # times `within_min`, as the node has it
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
            "no probe is configured: name at least `probe: {every_h: 24, peer: …}`, with its route "
            f"and its entry of accept ({RUNBOOK})"
        )
    if last:
        with node.database.read() as connection:
            found = probe_runs.last(connection)
        if found is None:
            raise NodeError("the node has not tried itself yet: run `dicom-ai-node probe`")
    else:
        _require_taken(node)
        with node.database.write() as connection:
            found = begin(connection, node.config.probe, now=node.database.now())
    run = found if last else _followed(node, found, quiet=as_json)
    if as_json:
        print_json(asdict(run))
    else:
        typer.echo(_said(run))
    if run.passed is False:
        raise typer.Exit(1)


def _runs(node: Node) -> bool:
    """Without asking for the locks: a part that starts at this moment must get its own."""
    return any(is_held(node.spool.locks / f"{role}.lock") for role in ("run", "deliver"))


def _require_taken(node: Node) -> None:
    """Raises NodeError where nobody would take the run up."""
    if not _runs(node):
        raise NodeError("the node does not run: start it (`dicom-ai-node run`), and try again")
    running = in_force.running(node.spool)
    said = running.get("run") or running.get("deliver")
    if said is None:
        return
    if any(key.startswith("probe") for key in in_force.changed_keys(said.config, node.config)):
        raise NodeError(
            "the node runs with another `probe` than the files say: `dicom-ai-node reload`, and "
            "try again"
        )


def _followed(node: Node, run: ProbeRun, *, quiet: bool) -> ProbeRun:
    """Until it has ended; raises NodeError where it does not, or the node does not run."""
    assert node.config.probe is not None  # noqa: S101 — who begins one has looked
    within_s = node.config.probe.within_min * 60 * _FAILS_AFTER + _NOBODY_S
    said = 0
    waits_for: str | None = None
    began = seen = time.monotonic()
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
        now = time.monotonic()
        seen = now if _runs(node) else seen
        if now - seen > _NOBODY_S:
            raise NodeError("the node does not run any more: start it (`dicom-ai-node run`)")
        if (run.looked_at is None and now - began > _NOBODY_S) or now - began > within_s:
            raise NodeError(
                "the node runs, and does not go on with it: see the log of its part `deliver`, and "
                "`dicom-ai-node probe --last`"
            )
        time.sleep(_POLL_S)


def _said(run: ProbeRun) -> str:
    if run.finished_at is None:
        return f"under way: it stands at {run.stage} ({run.waits_for or 'it goes on'})"
    seconds = run.finished_at - run.started_at
    if run.passed:
        return f"passed in {seconds:.0f} s"
    return f"failed at {run.stage} after {seconds:.0f} s: {run.reason}"
