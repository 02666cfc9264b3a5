"""`models install`, `list`, `show`, `verify`, `disable` and `enable`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.load import load

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel

app = typer.Typer(help="The model store.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The model's name.")]


@app.command()
def install(name: Name, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Fetch a built-in model, pinned by version and SHA-256, into the model store."""
    from dicom_ai_node.models.install import install as install_model

    store = load(config).node.models
    with Console(stderr=True).status("") as shown:
        made = install_model(name, store, progress=shown.update)
    typer.echo(f"{made.package.name} {made.package.version} is in {made.folder}")


@app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """List the models in the store."""
    from dicom_ai_node.config.store import installed

    node = load(config).node
    found = installed(node.models, node.trusted_models)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    table = Table("Model", "Version", "Kind", "Title", "SHA-256")
    for each in found:
        package = each.package
        table.add_row(package.name, package.version, package.kind, package.title, each.sha256[:12])
    console().print(table)


@app.command()
def show(name: Name, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Show a model's package, and its card."""
    from dicom_ai_node.config.store import find

    found = find(load(config).node.models, name)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    card = found.folder / "MODEL_CARD.md"
    typer.echo(f"{found.folder}  {found.sha256}")
    typer.echo(card.read_text() if card.exists() else found.package.intended_use)


@app.command()
def verify(name: Name, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Check that a model's files still have the hashes that its package pins."""
    from dicom_ai_node.config.store import find
    from dicom_ai_node.models.install import verify as verify_model

    verify_model(find(load(config).node.models, name))
    typer.echo(f"{name}: unchanged")


Version = Annotated[str | None, typer.Option(help="Only this version; else all of them.")]


@app.command()
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


@app.command()
def enable(name: Name, version: Version = None, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Let jobs of a disabled model run again."""
    from dicom_ai_node.config import disabled

    store = load(config).node.models
    for model in _versions(store, name, version):
        was = disabled.enable(store, model)
        typer.echo(f"{model.label} is enabled." if was else f"{model.label} was not disabled.")


def _versions(store: Path, name: str, version: str | None) -> list["InstalledModel"]:
    from dicom_ai_node.config.store import find, read_store

    found = find(store, name, version)
    if version is not None:
        return [found]
    return [each for each in read_store(store).models if each.package.name == name]
