"""`models install`, `list`, `show` and `verify`."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.load import load

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
