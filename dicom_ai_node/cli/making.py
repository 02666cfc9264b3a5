"""`models record`, `convert` and `stress`: for those who make models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.load import load
from dicom_ai_node.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    app.command()(record)
    app.command()(convert)
    app.command()(stress)


def record(
    package: Annotated[
        Path, typer.Argument(help="The folder of a package, before it is installed.")
    ],
    study_dir: Annotated[Path, typer.Argument(help="A folder with DICOM files of one series.")],
    run_its_code: Annotated[
        bool, typer.Option("--run-its-code", help="The package brings code, and it is yours.")
    ] = False,
) -> None:
    """Make the known answer of a package: its answer to a study, and the pixels of that.

    The pixels become a part of the package: take a study that may be given away.
    """
    from dicom_ai_node.known_answer.record import record as record_answer

    with Console(stderr=True).status(f"Asking {package.name} about {study_dir.name}."):
        folder, lines = record_answer(package, study_dir, trusted=run_its_code)
    for line in lines:
        typer.echo(f"  {line.what}: {line.expected}")
    typer.echo(f"Look at it: it is what `models verify` will hold the model to, in {folder}")
    typer.echo(f"model.yaml must say  known_answer: {folder.name}")


def convert(
    file: Annotated[Path, typer.Argument(help="TorchScript, or a state dict of torch (.pt).")],
    out: Annotated[
        Path, typer.Option(help="A .safetensors (weights) or .pt2 (the whole network).")
    ],
    input_shape: Annotated[
        str | None, typer.Option(help="For .pt2: batch,channels,… such as 1,1,96,96,96.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(min=1, help="It is ended after so long.")] = 600,
    memory_mb: Annotated[int, typer.Option(min=512, help="It may hold so much.")] = 16_384,
) -> None:
    """Turn weights that may hold code into ones that hold none, in a process without network."""
    from dicom_ai_node.models.formats.convert import convert as convert_file

    shape = _shape(input_shape)
    with Console(stderr=True).status(f"Converting {file.name}."):
        said = convert_file(file, out, shape, timeout_s=timeout_s, memory_mb=memory_mb)
    typer.echo(f"{out}: {said}")


def stress(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    version: Annotated[str | None, typer.Option(help="Which one; else the newest.")] = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Disturb a model's known case (noise, shift, gain, blur, attack): how far its answer moves."""
    from dicom_ai_node.config.store import find
    from dicom_ai_node.known_answer.stress import stress as stress_model

    node = load(config).node
    found = find(node.models, name, version, trusted=node.trusted_models)
    with Console(stderr=True).status(f"{found.label} is at work"):
        rows = stress_model(found)
    if as_json:
        print_json([row.as_dict() for row in rows])
        return
    table = Table("Disturbance, and what moved", "Before", "After", "Change")
    for row in rows:
        table.add_row(f"{row.disturbance}: {row.outcome}")
        for moved in row.moved:
            table.add_row(f"  {moved.what}", moved.before, moved.after, moved.change)
    console().print(table)


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise ConfigError(f"--input-shape {text}: write whole numbers, such as 1,1,96,96,96")
    return tuple(int(word) for word in words)
