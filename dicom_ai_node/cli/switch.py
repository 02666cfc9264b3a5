"""`models disable` and `models enable`: the kill switch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_ai_node.cli import completing
from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir, verb_config

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel

Name = Annotated[
    str, typer.Argument(help="The model's name.", autocompletion=completing.model_names)
]
Version = Annotated[str | None, typer.Option(help="Only this version; else all of them.")]


def add_to(app: typer.Typer) -> None:
    app.command()(disable)
    app.command()(enable)


def disable(
    name: Name,
    version: Version = None,
    why: Annotated[str, typer.Option(help="The reason, for those who ask.")] = "by the operator",
    cancel: Annotated[bool, typer.Option(help="Cancel its jobs, instead of waiting.")] = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Let no job of a model run, from now on: what runs is ended, what is queued waits."""
    from dicom_ai_node.cli.node import open_node
    from dicom_ai_node.config import disabled
    from dicom_ai_node.database import leases

    node = open_node(config)
    store, now = node.config.node.models, node.database.now()
    for model in _versions(store, name, version):
        marker = disabled.disable(store, model, why=why, now=now)
        typer.echo(f"{model.label} is disabled.")
        if cancel:
            with node.database.write() as connection:
                number = leases.cancel_of_model(
                    connection, marker.model, marker.version, why=marker.sentence, now=now
                )
            typer.echo(f"{number} jobs are cancelled.")


def enable(name: Name, version: Version = None, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Let jobs of a disabled model run again."""
    from dicom_ai_node.config import disabled
    from dicom_ai_node.config.installed import model_label

    store = verb_config(config).node.models
    switched = [of for of in disabled.read_disabled(store) if of[0] == name]
    found = [of for of in switched if version in (None, of[1])]
    for each in found:
        disabled.enable(store, *each)
        typer.echo(f"{model_label(*each)} is enabled.")
    if not found:
        for model in _versions(store, name, version):
            typer.echo(f"{model.label} was not disabled.")


def _versions(store: Path, name: str, version: str | None) -> list["InstalledModel"]:
    from dicom_ai_node.config.store import find, read_store

    found = find(store, name, version)
    if version is not None:
        return [found]
    return [each for each in read_store(store).models if each.package.name == name]
