"""`models install`, `list`, `show`, `verify` and `remove`: the model store."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dicom_ai_node.cli import making, switch
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError, NodeError
from dicom_ai_node.job import JobState

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel

app = typer.Typer(help="The model store.", no_args_is_help=True)
making.add_to(app)
switch.add_to(app)

Name = Annotated[str, typer.Argument(help="The model's name.")]
Version = Annotated[str | None, typer.Option(help="Which one; else the newest.")]


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
    from dicom_ai_node.known_answer.check import require_answer
    from dicom_ai_node.models.install import Terms, install_source

    node = load(config).node
    said: list[str] = []
    with Console(stderr=True).status("") as shown:

        def check(model: "InstalledModel") -> None:
            if not verify or model.package.known_answer is None:
                return
            if model.package.brings_code and not model.trusted:
                said.append("Its known answer was not tried, since that would run its code.")
                return
            shown.update(f"Asking {model.label} about its known case.")
            require_answer(model)
            said.append("It gives its known answer.")

        terms = Terms(trusted=node.trusted_models, replace=replace, check=check)
        made = install_source(source, node.models, shown.update, terms)
    typer.echo(f"{made.label} is in {made.folder}")
    for line in (*said, *_wishes(made)):
        typer.echo(line)


@app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """List the models in the store, and what lies there and cannot be used."""
    from dicom_ai_node.config.store import read_store

    node = load(config).node
    store = read_store(node.models, node.trusted_models)
    if as_json:
        faults = [{"folder": str(folder), "fault": text} for folder, text in store.faults.items()]
        print_json([*(each.model_dump(mode="json") for each in store.models), *faults])
        return
    table = Table("Model", "Version", "Kind", "Title", "Licence", "Code of its own", "SHA-256")
    for each in store.models:
        package = each.package
        code = "trusted" if each.trusted else "not trusted"
        table.add_row(
            package.name,
            package.version,
            package.kind,
            package.title,
            package.license,
            code if package.brings_code else "",
            each.sha256[:12],
        )
    console().print(table)
    for text in store.faults.values():
        console(soft_wrap=True).print(f"Cannot be used: {text}")


@app.command()
def show(
    name: Name,
    version: Version = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Show what a model takes and gives, under which UID, and its card."""
    from dicom_ai_node.config.store import find
    from dicom_ai_node.encoders.run import device_uid

    node = load(config).node
    found = find(node.models, name, version, trusted=node.trusted_models)
    uid = device_uid(found.sha256)
    if as_json:
        print_json({**found.model_dump(mode="json"), "device_uid": uid})
        return
    card = found.folder / "MODEL_CARD.md"
    out = console(soft_wrap=True)
    out.print(f"{found.label}  {found.folder}")
    for key, value in {**_outline(found), "SHA-256": found.sha256, "Device UID": uid}.items():
        if value:
            out.print(f"{key:>16}  {value}")
    out.print()
    out.print(card.read_text() if card.exists() else found.package.intended_use)


@app.command()
def verify(
    name: Name,
    version: Version = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Check a model's files against their hashes, and its answer to its known case; exit 1 if not.

    Code of its own is run only where node.trusted_models names the package.
    """
    from dicom_ai_node.config.store import find
    from dicom_ai_node.known_answer.check import check_answer
    from dicom_ai_node.models.install import verify as verify_files

    node = load(config).node
    found = find(node.models, name, version, trusted=node.trusted_models)
    verify_files(found)
    may_run = found.trusted or not found.package.brings_code
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


@app.command()
def remove(
    name: Name,
    version: Annotated[str | None, typer.Option(help="Which one, where there are several.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even where a route or a job wants it.")
    ] = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Take a model out of the store; refused while a route or a queued job wants it."""
    from dicom_ai_node.config.store import find, read_store
    from dicom_ai_node.models.placing import remove as remove_folder

    settings = load(config)
    found = find(settings.node.models, name, version)
    there = read_store(settings.node.models).versions(name)
    if version is None and len(there) > 1:
        raise ConfigError(f"{name} is there in several versions: say which (--version {there[-1]})")
    wanted = [] if force else [*_routes_to(found, there, settings), *_jobs_of(found, settings)]
    if wanted:
        raise NodeError(f"{found.label} is needed: {'; '.join(wanted)} (--force removes it anyway)")
    remove_folder(found.folder, settings.node.models)
    typer.echo(f"{found.label} is removed")


def _wishes(model: "InstalledModel") -> list[str]:
    """What an administrator should still do, or ask for."""
    lines = []
    if model.package.brings_code and not model.trusted:
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


def _routes_to(model: "InstalledModel", there: list[str], settings: Config) -> list[str]:
    """A route without a version goes to the newest, and must not fall back to one before it."""
    package = model.package
    is_newest = there[-1:] == [package.version]
    return [
        f"the route {route.label} goes to it"
        for route in settings.routes
        if route.model == package.name
        and (route.version == package.version or (route.version is None and is_newest))
    ]


def _jobs_of(model: "InstalledModel", settings: Config) -> list[str]:
    from dicom_ai_node.database import jobs
    from dicom_ai_node.database.engine import Database

    database = Database(settings.node.database)
    if not database.path.exists():
        return []
    package = model.package
    with database.read() as connection:
        found = [
            job
            for state in (JobState.QUEUED, JobState.RUNNING)
            for job in jobs.listing(connection, state=state, limit=1_000_000)
            if (job.model, job.version) == (package.name, package.version)
        ]
    database.close()
    return [f"{len(found)} jobs wait for it"] if found else []
