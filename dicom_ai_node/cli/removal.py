"""`models remove`, and who still needs the model."""

from typing import TYPE_CHECKING, Annotated

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir
from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError, NodeError
from dicom_ai_node.job import JobState

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel


def add_to(app: typer.Typer) -> None:
    app.command()(remove)


def remove(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    version: Annotated[str | None, typer.Option(help="Which one, where there are several.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even where a route or a job wants it.")
    ] = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Take a model out of the store; refused while a route or a queued job wants it."""
    from dicom_ai_node.config.store import find, read_store
    from dicom_ai_node.models.installation.placing import remove as remove_folder

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
    if not found:
        return []
    return ["1 job waits for it" if len(found) == 1 else f"{len(found)} jobs wait for it"]
