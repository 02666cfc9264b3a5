"""`peers list` and `send`: where results go, and what waits for each."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_ai_node import send_now
from dicom_ai_node.cli import completing, watching
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import age, moment_and_age, print_json
from dicom_ai_node.cli.watching import Watch
from dicom_ai_node.database.books import Waiting
from dicom_ai_node.errors import NodeError
from dicom_ai_node.known_peers import read_peers

app = typer.Typer(
    help="Where results go: what waits for each peer, and sending it now.", no_args_is_help=True
)


@app.command(name="list")
def list_(
    watch: Watch = False, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG
) -> None:
    """List the peers: when each took something, what waits for it, what it said last."""
    node = open_node(config)

    def data() -> list[dict[str, Any]]:
        return [
            {**each, "waiting": asdict(each["waiting"]) if each["waiting"] else None}
            for each in read_peers(node.config, node.database)
        ]

    def draw() -> Table:
        now = node.database.now()
        table = Table("Peer", "Where", "Last took something", "Waiting", "Not committed", "Said")
        for each in read_peers(node.config, node.database):
            took = each["last_contact"]
            table.add_row(
                each["name"],
                each["what"],
                moment_and_age(took, now=now) if took else "never",
                _waiting(each["waiting"], now),
                str(each["uncommitted"]),
                each["last_answer"],
            )
        return table

    watching.show(draw, data, as_json=as_json, again=watch)


@app.command()
def send(
    peer: Annotated[
        str,
        typer.Argument(help="A name of the configuration.", autocompletion=completing.peer_names),
    ],
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Send now what waits for a peer that is back, whatever pause it has."""
    node = open_node(config)
    if peer not in node.config.peers:
        raise NodeError(f"there is no peer {peer!r} in the configuration: see `peers list`")
    send_now.ask(node.spool, peer)
    if as_json:
        print_json({"sent_now": peer})
    else:
        typer.echo(f"{peer} is sent what waits for it now, while the node runs.")


def _waiting(found: Waiting | None, now: float) -> str:
    if found is None:
        return "nothing"
    since = f", the oldest for {age(now - found.since)}" if found.since else ""
    return f"{found.objects} objects{since}"
