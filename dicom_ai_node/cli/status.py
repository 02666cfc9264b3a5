"""`status`: the books on one screen."""

import typer
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.database.books import books


def add_to(app: typer.Typer) -> None:
    app.command()(status)


def status(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Print how many studies, jobs and deliveries are where."""
    with open_node(config).database.read() as connection:
        found = books(connection)
    if as_json:
        print_json(found.as_dict())
        return
    table = Table("", "", "Number", show_header=False)
    table.add_row("instances", "stored", str(found.instances))
    for title, numbers in (
        ("studies", found.studies),
        ("jobs", found.jobs),
        ("objects waiting for", found.waiting_for),
    ):
        for name, number in numbers.items():
            table.add_row(title, name, str(number))
    console().print(table)
