"""What most verbs open first: configuration, log, spool, database, models."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_ai_node import in_force, log
from dicom_ai_node.audit import current
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.cli.show import AsJson as AsJson
from dicom_ai_node.config.load import load, spool_of
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import schema, soundness
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.node_trail import trail_of
from dicom_ai_node.ownership import require_own_spool
from dicom_ai_node.spool import Spool

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel

ConfigDir = Annotated[
    Path, typer.Option("--config", help="The folder of the *.yaml files.", show_default=True)
]
DEFAULT_CONFIG = Path("config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    directory: Path
    config: Config
    spool: Spool
    database: Database
    trail: Trail  # of audit messages
    models: Mapping[str, "InstalledModel"]  # as Store.by_label(); empty for what runs none


def open_node(directory: Path) -> Node:
    """For a verb, with `verb_config()`; see `open_role()`."""
    return _opened(directory, verb_config(directory), need_models=False)


def open_role(
    directory: Path,
    *,
    need_models: bool = False,
    need_secrets: bool = False,
    in_force_file: Path | None = None,
) -> Node:
    """Raises ConfigError; makes the spool and an empty database where there is none.

    The configuration is what stands in `in_force_file`, if there is one, whatever the folder says.
    """
    config = read_config(
        directory,
        need_models=need_models,
        need_secrets=need_secrets,
        in_force_file=in_force_file,
    )
    return _opened(directory, config, need_models=need_models)


def _opened(directory: Path, config: Config, *, need_models: bool) -> Node:
    os.umask(0o077)
    require_own_spool(config)
    spool = Spool(config.node.spool)
    configure_log(config, spool)
    database = Database(config.node.database)
    if not database.path.exists() or not database.path.stat().st_size:
        soundness.require_there(database.path, has_files=spool.holds_anything())
    schema.require_current(database)
    models = _models(config) if need_models else {}
    if need_models:
        _require_routed(config, models)
    trail = trail_of(config, spool, database)
    current.use(trail)
    return Node(
        directory=directory,
        config=config,
        spool=spool,
        database=database,
        trail=trail,
        models=models,
    )


def read_config(
    directory: Path,
    *,
    need_models: bool = False,
    need_secrets: bool = False,
    in_force_file: Path | None,
) -> Config:
    """Raises ConfigError; see `open_role()`."""
    if in_force_file is not None and in_force_file.exists():
        return in_force.read(in_force_file).config
    return load(directory, need_models=need_models, need_secrets=need_secrets)


def verb_config(directory: Path) -> Config:
    """That of `read_verb_config()`; a line says so where it is not what the files say."""
    config, mistakes = read_verb_config(directory)
    if mistakes:
        typer.echo(
            f"dicom-ai-node: the files in {directory} have mistakes, which `dicom-ai-node check` "
            "names: this is the configuration that the node runs with",
            err=True,
        )
    return config


def read_verb_config(directory: Path) -> tuple[Config, list[str]]:
    """What the files say; where they have mistakes, what the node runs with that was started with
    them, and the mistakes: half an edit takes the kill switch from nobody. Raises ConfigError."""
    try:
        return load(directory), []
    except ConfigError as error:
        config = _standing_in(directory)
        if config is None:
            raise
        return config, str(error).splitlines()


def _standing_in(directory: Path) -> Config | None:
    root = spool_of(directory)
    # else it would be made
    return in_force.standing_in(Spool(root), directory) if root.is_dir() else None


def _models(config: Config) -> Mapping[str, "InstalledModel"]:
    # here, because a receiver needs no dictionary of coded concepts in its memory
    from dicom_ai_node.config.store import read_store

    return read_store(config.node.models, config.node.trusted_models).by_label()


def _require_routed(config: Config, models: Mapping[str, "InstalledModel"]) -> None:
    """`load()` saw to it; but not that nobody has taken one out of the store since."""
    for route in config.routes:
        if route.model_label not in models:
            raise ConfigError(
                f"route {route.label}: its model {route.model_label} is not in "
                f"{config.node.models}: `dicom-ai-node models install {route.model}`"
            )


def configure_log(config: Config, spool: Spool) -> None:
    as_json = None if config.log.format == "auto" else config.log.format == "json"
    log.configure(level=config.log.level, json_lines=as_json, salt=_salt(spool))


def _salt(spool: Spool) -> bytes:
    """The site's salt for pseudonyms in logs, made once."""
    path = spool.root / "log-salt"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        salt = secrets.token_bytes(32)
        file.write(salt)
    return salt
