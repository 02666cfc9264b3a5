"""`alarms list`, `test` and `acknowledge`."""

import getpass
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from dicom_ai_node.audit.trail import Actor
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import age, console, moment, print_json
from dicom_ai_node.database import alarms, notifications
from dicom_ai_node.database.alarms import Alarm
from dicom_ai_node.errors import NodeError

app = typer.Typer(
    help="What is wrong, and who is told; docs/runbook.md says what to do about each.",
    no_args_is_help=True,
)
_NEWEST = 100


@app.command(name="list")
def list_(
    every: Annotated[
        bool, typer.Option("--all", help=f"Ended ones too, the newest {_NEWEST}.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List the alarms that are active, the oldest first; each says what to do next."""
    node = open_node(config)
    with node.database.read() as connection:
        found = alarms.listing(connection, limit=_NEWEST) if every else alarms.active(connection)
        waiting = notifications.backlog(connection)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    out = console()
    if not found:
        out.print("No alarm." if every else "No alarm is active.")
    else:
        out.print(_table(found, every=every))
    for channel, each in waiting.items():
        status = f": {each.status}" if each.status else ""
        since = age(node.database.now() - each.since)
        out.print(f"{each.messages} messages wait for {channel}, the oldest for {since}{status}")


def _table(found: list[Alarm], *, every: bool) -> Table:
    ended = ["Ended"] if every else []
    table = Table("Alarm", "Since", *ended, "Severity", "Name", "Subject", "What to do", "Seen by")
    for each in found:
        table.add_row(
            str(each.id),
            moment(each.since),
            *([moment(each.ended_at)] if every else []),
            each.severity,
            each.name,
            each.subject,
            each.text,
            each.acknowledged_by or "",
        )
    return table


@app.command(name="test")
def send_test(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Send a test message through every channel now, and say what each answered.

    The exit status is 1 where one of them does not work.
    """
    from dicom_ai_node.alarms.channel import NotTold
    from dicom_ai_node.alarms.channels import open_channels
    from dicom_ai_node.alarms.message import trial

    node = open_node(config)
    channels = open_channels(node.config.alarms)
    if not channels:
        raise NodeError("nobody is told of alarms: configure alarms.webhooks or alarms.email")
    message = trial(node.config.node.ae_title[0], node.database.now())
    said = []
    for channel in channels:
        try:
            said.append({"channel": channel.name, "works": True, "answer": channel.send(message)})
        except NotTold as error:
            said.append({"channel": channel.name, "works": False, "answer": str(error)})
    if as_json:
        print_json(said)
    else:
        for each in said:
            how = "works" if each["works"] else "does not work"
            typer.echo(f"{each['channel']} {how}: {each['answer']}")
    if not all(each["works"] for each in said):
        raise typer.Exit(1)


@app.command()
def acknowledge(
    alarm_id: Annotated[
        int, typer.Argument(max=2**62, help="Its number, as `alarms list` shows it.")
    ],
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Say that you take care of an alarm: nobody is reminded of it any more.

    It stays active until what is wrong is mended. One that gets worse, or comes again, is told
    again.
    """
    node = open_node(config)
    who = _user()
    with node.database.write() as connection:
        found = alarms.acknowledge(connection, alarm_id, by=who, now=node.database.now())
    _audit(node, who, found)
    typer.echo(f"Alarm {alarm_id} ({found.name} {found.subject}) is yours, {who}.")


def _audit(node: Node, who: str, found: Alarm) -> None:
    actor = Actor(name=who, through="command line")
    node.trail.acted(actor, "alarms acknowledge", subject=f"{found.name} {found.subject}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return "somebody"
