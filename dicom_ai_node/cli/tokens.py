"""`tokens add`, `list` and `revoke`: who may use the web page."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import console, moment, print_json
from dicom_ai_node.database import tokens
from dicom_ai_node.roles import Role

app = typer.Typer(help="Who may use the web page.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose token it is; the audit trail has this name.")]


@app.command()
def add(
    name: Name,
    role: Annotated[
        Role,
        typer.Option(
            help="look: states and numbers. act: also jobs, studies, peers, UIDs and pictures. "
            "configure: also models, draining and tokens."
        ),
    ] = Role.LOOK,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Make a token for a person or a program, and print it: nobody can read it again."""
    database = open_node(config).database
    with database.write() as connection:
        made = tokens.make(connection, name, role, now=database.now())
    typer.echo(made)


@app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """List the tokens: whose they are, what they may do, and when they were last used."""
    with open_node(config).database.read() as connection:
        found = tokens.listing(connection)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    table = Table("Name", "Role", "Made", "Last used", "Revoked")
    for each in found:
        times = (moment(at) for at in (each.created_at, each.last_used_at, each.revoked_at))
        table.add_row(each.name, each.role, *times)
    console().print(table)


@app.command()
def revoke(name: Name, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """End a token and its sessions, at once."""
    database = open_node(config).database
    with database.write() as connection:
        tokens.revoke(connection, name, now=database.now())
    typer.echo(f"The token {name} is revoked.")
