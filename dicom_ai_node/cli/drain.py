"""`drain`: before maintenance, finish what is under way and take nothing new."""

import time
from typing import Annotated

import typer

from dicom_ai_node import draining
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.database.books import Books, books
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

_LOOK_EVERY_S = 0.3


def add_to(app: typer.Typer) -> None:
    app.command()(drain)


def drain(
    off: Annotated[bool, typer.Option("--off", help="Go on as before.")] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds for what runs, and what is to be sent.")
    ] = 600,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Take no new studies and begin no job; exit 0 when nothing runs and everything is sent.

    It lasts until `drain --off`, whatever is stopped and started in between.
    """
    node = open_node(config)
    if off:
        draining.end(node.spool)
        log.warning("draining_ended")
        if as_json:
            print_json({"draining": False})
        else:
            typer.echo("The node takes studies and begins jobs again.")
        return
    draining.begin(node.spool)
    log.warning("draining")
    if not as_json:
        typer.echo("No new study is taken (2,3,1), and no job begins, until `drain --off`.")
    left = _wait(node, wait)
    if as_json:
        print_json(_as_data(left))
    else:
        _tell(left)
    if _under_way(left):
        raise typer.Exit(1)


def _as_data(left: Books) -> dict[str, object]:
    return {
        "draining": True,
        "is_quiet": not _under_way(left),
        "queued": left.jobs["queued"],
        "running": left.jobs["running"],
        "waiting_for": dict(left.waiting_for),
        "uncommitted": dict(left.uncommitted),
    }


def _tell(left: Books) -> None:
    queued = left.jobs["queued"]
    if queued:
        typer.echo(f"{queued} jobs stay queued, and run after `drain --off`.")
    if not _under_way(left):
        typer.echo("Nothing runs, and everything is sent: the node may be stopped.")
        return
    for sentence in _under_way(left):
        typer.echo(sentence)
    typer.echo("It may be stopped all the same: what is left is sent after the next start.")


def _wait(node: Node, wait_s: float) -> Books:
    until = time.monotonic() + wait_s
    while True:
        time.sleep(_LOOK_EVERY_S)  # before the first look, too: a job may be about to begin
        with node.database.read() as connection:
            found = books(connection)
        if not _under_way(found) or time.monotonic() >= until:
            return found


def _under_way(found: Books) -> list[str]:
    """What is not at its end, a sentence each."""
    said = [f"{found.jobs['running']} jobs still run."] if found.jobs["running"] else []
    said += [f"{number} objects wait for {peer}." for peer, number in found.waiting_for.items()]
    return said + [
        f"{number} objects are at {peer}, which has not committed to them."
        for peer, number in found.uncommitted.items()
    ]
