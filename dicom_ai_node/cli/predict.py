"""`predict`: a model on a folder of DICOM files, without network and without database."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicom_ai_node import log
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.config.load import load
from dicom_ai_node.config.store import find
from dicom_ai_node.errors import InputError
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
    """Run a model on each image series of a folder and write SEG and SR, as the worker does."""
    settings = load(config)
    log.configure(level="warning")
    package = find(settings.node.models, model)
    from dicom_ai_node.attempt import Request, run
    from dicom_ai_node.folder import series_of
    from dicom_ai_node.job import job_key
    from dicom_ai_node.models.adapters import open_model
    from dicom_ai_node.study import input_digest

    found = series_of(study_dir)
    if not found:
        raise InputError(f"{study_dir} holds no DICOM images: give the folder of one study")
    opened = open_model(package)
    reports = []
    console = Console(stderr=True)
    for number, series in enumerate(found, start=1):
        target = out if len(found) == 1 else out / f"series-{number}"
        target.mkdir(parents=True, exist_ok=True)
        key = job_key(
            model=package.package.name,
            version=package.package.version,
            model_sha256=package.sha256,
            digest=input_digest(each.sop_instance_uid for each in series.instances),
        )
        with (
            console.status(f"series {number} of {len(found)}: {len(series.instances)} instances"),
            tempfile.TemporaryDirectory(dir=target, prefix=".predict-") as folder,
        ):
            request = Request(
                job_key=key,
                model=package,
                instances=series.instances,
                folder=Path(folder) / "attempt",
            )
            report = run(request, lambda: opened)
            for path in request.folder.iterdir():
                path.replace(target / path.name)
        reports.append({"series": number, "folder": str(target), "report": report})
        if not as_json:
            typer.echo(f"{target}: {report.outcome}{': ' + report.reason if report.reason else ''}")
            for finding, name, value, unit in report.measurements:
                typer.echo(f"  {finding}: {name} {value:g} {unit}")
    if as_json:
        from dataclasses import asdict

        print_json([{**each, "report": asdict(each["report"])} for each in reports])  # type: ignore[call-overload]
    if any(each["report"].outcome is Outcome.FAILED for each in reports):  # type: ignore[attr-defined]
        raise typer.Exit(1)
