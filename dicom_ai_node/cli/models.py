"""`models install`, `list`, `show` and `verify`: the model store."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from dicom_ai_node.cli import completing, making, removal, switch
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.load import load

if TYPE_CHECKING:
    from dicom_ai_node.config.disabled import Disabled
    from dicom_ai_node.config.installed import InstalledModel

app = typer.Typer(help="The model store.", no_args_is_help=True)
making.add_to(app)
switch.add_to(app)
removal.add_to(app)

Switches = Mapping[tuple[str, str], "Disabled"]  # by name and version

Name = Annotated[
    str, typer.Argument(help="The model's name.", autocompletion=completing.model_names)
]
OneVersion = Annotated[str | None, typer.Option(help="Which one; else the newest.")]


@app.command()
def install(
    source: Annotated[str, typer.Argument(help="A built-in model's name, a folder, an archive.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Even where this version is there with other files.")
    ] = False,
    verify: Annotated[bool, typer.Option(help="Ask it about its known case first.")] = True,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Put a model into the store, whole or not at all, each file pinned by its SHA-256."""
    from dicom_ai_node.config.disabled import read_disabled
    from dicom_ai_node.known_answer.check import require_answer, require_opening
    from dicom_ai_node.models.installation.install import Terms, install_source

    node = load(config).node
    said: list[str] = []
    with Console(stderr=True).status("") as shown:

        def check(model: "InstalledModel") -> None:
            if not verify:
                return
            if model.needs_trust:
                said.append("It was not tried, since that would run its code.")
                return
            if model.package.known_answer is None:
                shown.update(f"Opening {model.label}.")
                require_opening(model)
                return
            shown.update(f"Asking {model.label} about its known case.")
            require_answer(model)
            said.append("It gives its known answer.")

        terms = Terms(trusted=node.trusted_models, replace=replace, check=check)
        made = install_source(source, node.models, shown.update, terms)
    typer.echo(f"{made.label} is in {made.folder}")
    if switch := read_disabled(node.models).get((made.package.name, made.package.version)):
        said.append(f"{switch.sentence}. Let it run: `dicom-ai-node models enable {switch.model}`.")
    for line in (*said, *_wishes(made)):
        typer.echo(line)


@app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """List the models in the store, and what lies there and cannot be used."""
    from dicom_ai_node.config.disabled import read_disabled
    from dicom_ai_node.config.store import read_store

    node = load(config).node
    store = read_store(node.models, node.trusted_models)
    disabled = read_disabled(node.models)
    if as_json:
        faults = [{"folder": str(folder), "fault": text} for folder, text in store.faults.items()]
        models = [_fields(each, disabled) for each in store.models]
        print_json([*models, *faults])
        return
    table = Table(Column("Model", no_wrap=True), "Version", "Kind", "Licence", "SHA-256", "Remarks")
    for each in store.models:
        package = each.package
        table.add_row(
            package.name,
            package.version,
            package.kind,
            package.license,
            each.sha256[:12],
            _remarks(each, disabled),
        )
    console().print(table)
    for text in store.faults.values():
        console(soft_wrap=True).print(f"Cannot be used: {text}")


@app.command()
def show(
    name: Name,
    version: OneVersion = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Show what a model takes and gives, under which UID, and its card."""
    from dicom_ai_node.config.disabled import read_disabled
    from dicom_ai_node.config.store import find
    from dicom_ai_node.encoders.run import device_uid

    node = load(config).node
    found = find(node.models, name, version, trusted=node.trusted_models)
    uid = device_uid(found.sha256)
    if as_json:
        print_json({**_fields(found, read_disabled(node.models)), "device_uid": uid})
        return
    card = found.folder / "MODEL_CARD.md"
    out = console(soft_wrap=True)
    out.print(f"{found.label}  {found.folder}")
    lines = {**_outline(found), "SHA-256": found.sha256, "Device UID": uid}
    lines["does not run"] = _remarks(found, read_disabled(node.models))
    for key, value in lines.items():
        if value:
            out.print(f"{key:>16}  {value}")
    out.print()
    text = card.read_text(errors="replace") if card.exists() else found.package.intended_use
    out.print(_harmless(text))


@app.command()
def verify(
    name: Name,
    version: OneVersion = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Check a model's files against their hashes, and its answer to its known case; exit 1 if not.

    Code of its own is run only where node.trusted_models names the package.
    """
    from dicom_ai_node.config.store import find
    from dicom_ai_node.known_answer.check import check_answer
    from dicom_ai_node.models.installation.install import verify as verify_files

    node = load(config).node
    found = find(node.models, name, version, trusted=node.trusted_models)
    verify_files(found)
    may_run = not found.needs_trust
    with Console(stderr=True).status(f"Asking {found.label} about its known case."):
        ran = may_run and found.package.known_answer is not None
        lines = check_answer(found) if ran else []
    if as_json:
        fields = [
            {"what": x.what, "expected": x.expected, "found": x.found, "agrees": x.agrees}
            for x in lines
        ]
        print_json({"model": found.label, "files": "unchanged", "known_answer": fields})
    else:
        typer.echo(f"{found.label}: {len(found.files)} files, unchanged")
        _print_answer(found, lines, may_run=may_run)
    if not all(line.agrees for line in lines):
        raise typer.Exit(1)


def _harmless(text: str) -> str:
    """A card is not ours: it must not speak to the terminal."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def _remarks(model: "InstalledModel", disabled: Switches) -> str:
    """What keeps it from running."""
    found = []
    if model.needs_trust:
        found.append("its code is not trusted")
    if switch := disabled.get((model.package.name, model.package.version)):
        found.append(f"disabled: {switch.why}")
    return "; ".join(found)


def _fields(model: "InstalledModel", disabled: Switches) -> dict[str, Any]:
    switch = disabled.get((model.package.name, model.package.version))
    return {**model.model_dump(mode="json"), "disabled": switch and asdict(switch)}


def _wishes(model: "InstalledModel") -> list[str]:
    """What an administrator should still do, or ask for."""
    lines = []
    if model.needs_trust:
        lines.append(
            "It brings code of its own, which runs only when you have read it and write into the "
            f"configuration: node: {{trusted_models: [{model.sha256}]}}"
        )
    if model.package.known_answer is None:
        lines.append("It brings no known answer, so nobody can tell whether it works here.")
    if "MODEL_CARD.md" not in model.files:
        lines.append("It has no MODEL_CARD.md: ask its author what it was made for.")
    if model.package.license == "not stated":
        lines.append("It does not state its licence: ask its author whether you may use it.")
    return lines


def _outline(model: "InstalledModel") -> dict[str, str]:
    package = model.package
    outputs = getattr(package, "outputs", ())
    classes = [
        f"{entry.label} ({entry.finding.meaning})"
        for output in outputs
        for entry in (*getattr(output, "classes", ()), *getattr(output, "quantities", ()))
    ]
    code = "trusted" if model.trusted else "not trusted: node.trusted_models does not name it"
    return {
        "kind": package.kind,
        "title": package.title,
        "licence": package.license,
        "tasks": ", ".join(output.task for output in outputs),
        "inputs": f"{', '.join(package.inputs)} ({package.input})",
        "modality": ", ".join(package.gate.modality),
        "segments": ", ".join(f"{entry.number} {entry.label}" for entry in package.segments),
        "classes": ", ".join(classes),
        "results": ", ".join(package.results),
        "known answer": package.known_answer or "none",
        "code of its own": code if package.brings_code else "",
    }


def _print_answer(model: "InstalledModel", lines: list[Any], *, may_run: bool) -> None:
    if model.package.known_answer is None:
        typer.echo("It brings no known answer.")
    elif not may_run:
        typer.echo(
            "Its known answer was not tried, since that would run its code: read it, then write "
            f"node: {{trusted_models: [{model.sha256}]}}"
        )
    else:
        table = Table("Known answer", "Expected", "Found", "")
        for line in lines:
            table.add_row(line.what, line.expected, line.found, "" if line.agrees else "differs")
        console().print(table)
