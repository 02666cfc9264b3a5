"""`rules test`: what the configured routes would do with a folder of DICOM files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.cli.verdicts import print_verdicts
from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError, InputError
from dicom_ai_node.folder import described
from dicom_ai_node.routing.candidates import KEYWORDS, candidates
from dicom_ai_node.routing.route import Decision, decide, keywords
from dicom_ai_node.routing.verdict import row_of
from dicom_ai_node.study import Series

app = typer.Typer(help="Which series a route takes, and why.", no_args_is_help=True)

Title = Annotated[str, typer.Option(help="As if it were in the association; for rules that ask.")]


@app.command(name="test")
def try_routes(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of DICOM files.")],
    calling_ae: Title = "",
    called_ae: Title = "",
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Say for each series and route what matched, what failed, and with which value.

    No database, no model. Of several studies in DIR, earlier ones of the same patient are priors.
    """
    found = load(config)
    if not found.routes:
        raise ConfigError("routes: there is none to test: write one, as in docs/configuration.md")
    series = _series(folder, found)
    answers = [
        (study, route.label, decision)
        for study in sorted({each.study_instance_uid for each in series})
        for route, decision in _decide(study, series, found, calling_ae, called_ae)
    ]
    if as_json:
        print_json([_as_data(*answer) for answer in answers])
        return
    for number, (study, label, decision) in enumerate(answers):
        if number % len(found.routes) == 0:
            typer.echo(f"Study {study}")
        print_verdicts([row_of(verdict) for verdict in decision.verdicts])
        typer.echo(f"Route {label}: {_outcome(decision)}")


def _series(folder: Path, config: Config) -> list[Series]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give a folder of DICOM files")
    wanted = KEYWORDS | keywords(config.routes) | {"PatientID"}
    series = candidates(described(folder, wanted))
    if not series:
        raise InputError(f"{folder} holds no DICOM files: give a folder of a study")
    return series


def _decide(
    study: str, series: Sequence[Series], config: Config, calling_ae: str, called_ae: str
) -> list[tuple[Any, Decision]]:
    current = [each for each in series if each.study_instance_uid == study]
    patient = current[0].attributes.get("PatientID")
    priors = [
        each
        for each in series
        if each.study_instance_uid != study and patient == each.attributes.get("PatientID")
    ]
    called_ae = called_ae or config.node.ae_title[0]
    return [
        (route, decide(route, current, priors, calling_ae=calling_ae, called_ae=called_ae))
        for route in config.routes
    ]


def _outcome(decision: Decision) -> str:
    if decision.missing:
        return "no job; " + "; ".join(decision.missing)
    number = len(decision.chosen)
    return {0: "no job", 1: "one job"}.get(number, f"{number} jobs")


def _as_data(study: str, label: str, decision: Decision) -> dict[str, Any]:
    return {
        "study_instance_uid": study,
        "route": label,
        "verdicts": [row_of(verdict) for verdict in decision.verdicts],
        "jobs": [
            {
                name: {"series_instance_uid": each.series_instance_uid, "part": each.part}
                for name, each in job.items()
            }
            for job in decision.chosen
        ],
        "missing": list(decision.missing),
    }
