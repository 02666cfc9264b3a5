"""`predict`: try a model on a folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicom_ai_node import log
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.config.load import load
from dicom_ai_node.job import Outcome


def add_to(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    study_dir: Annotated[Path, typer.Argument(help="A folder with DICOM files.")],
    model: Annotated[str, typer.Option(help="A model of the store.")],
    out: Annotated[Path, typer.Option(help="Where the results go; made if missing.")],
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Run a model on each image series of a folder and write the results, as the worker does."""
    from dicom_ai_node.config.store import find

    node = load(config).node
    installed = find(node.models, model, trusted=node.trusted_models)
    log.configure(level="warning")
    from dicom_ai_node import predict as prediction

    reports = []
    with Console(stderr=True).status(f"{model} is at work"):
        for folder, report in prediction.predict(study_dir, installed, out, node.language):
            reports.append({"folder": str(folder), **asdict(report)})
            if not as_json:
                typer.echo(f"{folder}: {report.outcome} {report.reason or ''}".rstrip())
                for finding, name, value, unit in report.measurements:
                    typer.echo(f"  {finding}: {name} {value:g} {unit}")
    if as_json:
        print_json(reports)
    if any(report["outcome"] is Outcome.FAILED for report in reports):
        raise typer.Exit(1)
