"""What a shell is offered for an argument: it looks, and never makes or changes anything."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import typer

from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError

_OFFERED = 50  # the newest
_JOBS = f"SELECT id, model || ' ' || state FROM job ORDER BY id DESC LIMIT {_OFFERED}"  # noqa: S608
_STUDIES = f"SELECT study_instance_uid, state FROM study ORDER BY id DESC LIMIT {_OFFERED}"  # noqa: S608
_SQLITE = "sqlite:///"

Offered = list[tuple[str, str]]


def job_numbers(ctx: typer.Context, incomplete: str) -> Offered:
    return _offered(ctx, incomplete, lambda config: _rows(config, _JOBS))


def study_uids(ctx: typer.Context, incomplete: str) -> Offered:
    return _offered(ctx, incomplete, lambda config: _rows(config, _STUDIES))


def peer_names(ctx: typer.Context, incomplete: str) -> Offered:
    return _offered(
        ctx, incomplete, lambda config: ((name, peer.kind) for name, peer in config.peers.items())
    )


def model_names(ctx: typer.Context, incomplete: str) -> Offered:
    """The packages in the store, by the folders that they have there."""
    return _offered(ctx, incomplete, lambda config: _folders(config.node.models))


def _offered(
    ctx: typer.Context, incomplete: str, find: Callable[[Config], Iterator[tuple[str, str]]]
) -> Offered:
    """Nothing where the configuration or the database cannot be read: that is no time to say so."""
    directory = ctx.params.get("config") or "config"
    try:
        found = dict(find(load(Path(directory))))
    except (ConfigError, OSError, sqlite3.Error):
        return []
    return [(value, text) for value, text in found.items() if value.startswith(incomplete)]


def _rows(config: Config, query: str) -> Iterator[tuple[str, str]]:
    path = Path(config.node.database.removeprefix(_SQLITE))
    if not path.is_file():
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        yield from ((str(value), text) for value, text in database.execute(query))


def _folders(store: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(store.glob("*/*/model.yaml")):
        yield path.parts[-3], path.parts[-2]
