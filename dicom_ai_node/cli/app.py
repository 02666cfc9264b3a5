"""`dicom-ai-node`: every verb, and what its failures look like to a person."""

import sys

import typer

from dicom_ai_node import __version__
from dicom_ai_node.cli import (
    alarms,
    backup,
    check,
    config,
    demo,
    doctor,
    drain,
    importing,
    jobs,
    maintenance,
    models,
    predict,
    probe,
    results,
    roles,
    rules,
    status,
    studies,
    tokens,
)
from dicom_ai_node.errors import NodeError

app = typer.Typer(
    name="dicom-ai-node",
    help="A DICOM AI node beside the PACS. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals may hold patient data
    add_completion=True,
)
for module in (
    *(roles, importing, check, predict, status, drain, doctor),
    *(maintenance, backup, demo, probe),
):
    module.add_to(app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(studies.app, name="studies")
app.add_typer(results.app, name="results")
app.add_typer(rules.app, name="rules")
app.add_typer(models.app, name="models")
app.add_typer(alarms.app, name="alarms")
app.add_typer(tokens.app, name="tokens")
app.add_typer(config.app, name="config")
app.add_typer(maintenance.db, name="db")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Exit 2 for mistakes in configuration, 3 for a role that is taken, 1 for other failures."""
    try:
        app()
    except NodeError as error:
        for line in str(error).splitlines():
            typer.echo(f"dicom-ai-node: {line}", err=True)
        sys.exit(error.exit_status)
