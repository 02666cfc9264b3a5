"""`config`: what the configuration is, in what it differs, and what it may be."""

from pathlib import Path
from typing import Annotated, Any

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.config.compared import changes, defaults, differing, everything, flat
from dicom_ai_node.config.load import Loaded, load, load_with_places
from dicom_ai_node.config.tree import Key
from dicom_ai_node.config.writing import flow, lines

app = typer.Typer(
    help="What the configuration is, in what it differs, and what it may be.",
    no_args_is_help=True,
)


@app.command()
def show(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say of each value which file and line it is from.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Print the whole configuration in force, with all defaults, as YAML.

    It holds no secrets: those are in files of their own, of which it has the paths; of a webhook's
    `url` it has the host alone.
    """
    loaded = load_with_places(config)
    values = everything(loaded.config)
    if as_json:
        print_json(_with_origins(values, loaded) if origin else values)
        return
    for line in lines(values, loaded.origin if origin else lambda _: ""):
        typer.echo(line)


@app.command()
def diff(
    other: Annotated[
        Path | None, typer.Argument(help="Another folder of *.yaml files; else the defaults.")
    ] = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Print in what the configuration differs from its defaults, or from that of another folder.

    Against another folder: `-` is what --config has, `+` what the other one has.
    """
    found = load(config)
    if other is None:
        usual = defaults()
        if as_json:
            print_json(differing(found))
            return
        for line in lines(differing(found), lambda key: _usually(usual, key)):
            typer.echo(line)
        return
    mine, theirs = dict(flat(everything(found))), dict(flat(everything(load(other))))
    found_changes = list(changes(mine, theirs))
    if as_json:
        print_json([{"key": _dotted(k), "config": a, "other": b} for k, a, b in found_changes])
        return
    for key, before, after in found_changes:
        for sign, side, value in (("-", mine, before), ("+", theirs, after)):
            if key in side:
                typer.echo(f"{sign} {_dotted(key)}: {flow(value)}")


@app.command()
def example() -> None:
    """Print every key with its default and its description, as YAML that loads."""
    from dicom_ai_node.config.example import example as text

    typer.echo(text())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, with which editors complete and check keys.

    Write it beside your files, and begin each of them with the line
    `# yaml-language-server: $schema=node.schema.json`.
    """
    from dicom_ai_node.config.schema import published

    print_json(published())


def _with_origins(values: Any, loaded: Loaded) -> list[dict[str, Any]]:
    return [
        {"key": _dotted(key), "value": value, "origin": loaded.origin(key)}
        for key, value in flat(values)
    ]


def _usually(usual: Any, key: Key) -> str:
    return f"default: {flow(usual[key])}" if key in usual else ""


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))
