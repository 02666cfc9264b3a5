"""`backup` and `restore`; the drill is in docs/backup.md."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from dicom_ai_node.cli.maintenance import reconcile
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, configure_log, open_node
from dicom_ai_node.cli.show import busy, print_json
from dicom_ai_node.config.load import load
from dicom_ai_node.database import schema, tokens
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import NodeError
from dicom_ai_node.spool import Spool

if TYPE_CHECKING:
    from dicom_ai_node.backup.manifest import Manifest


def add_to(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    folder: Annotated[Path, typer.Argument(help="Where to; not there yet.")],
    instances: Annotated[
        bool, typer.Option("--instances", help="What was received as well.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check a backup that is there; make none.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Back up database, configuration and results, while the node runs or stands still."""
    from dicom_ai_node.backup.make import make_backup
    from dicom_ai_node.backup.restore import checked

    if verify:
        with busy("Reading the backup …"):
            found = checked(folder)
        said = (
            f"{len(found.files)} files are what was backed up at {found.made_at}, "
            f"schema {found.schema}, by version {found.program}."
        )
    else:
        node = open_node(config)
        with busy("Making the backup …"):
            found = make_backup(
                folder,
                config,
                node.spool,
                node.database,
                with_instances=instances,
                now=datetime.now(UTC),
            )
        size = sum(kept.size for kept in found.files.values())
        said = f"{len(found.files)} files, {size / 1e6:.1f} MB, are in {folder}."
    if as_json:
        print_json(_as_data(found))
    else:
        typer.echo(said)


def _as_data(found: "Manifest") -> dict[str, object]:
    return {
        "made_at": found.made_at,
        "program": found.program,
        "schema": found.schema,
        "files": len(found.files),
        "bytes": sum(kept.size for kept in found.files.values()),
    }


def restore(
    folder: Annotated[Path, typer.Argument(help="A backup.")],
    force: Annotated[
        bool, typer.Option("--force", help="Move the database that is there aside.")
    ] = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Put a backup back, while the node stands still; the configuration stays as it is."""
    from dicom_ai_node.backup.restore import checked, put_back, standing_still
    from dicom_ai_node.receive.conflicts import stop_again
    from dicom_ai_node.receive.rescan import IMPORT_LOCK

    os.umask(0o077)
    manifest = checked(folder)
    found = load(config)
    spool = Spool(found.node.spool)
    database = Database(found.node.database)
    with standing_still(spool):
        with spool.lock(IMPORT_LOCK):
            done = put_back(folder, manifest, spool, database.path, force=force)
        configure_log(found, spool)
        typer.echo(
            f"The database of {manifest.made_at} is back, {done.results} results and "
            f"{done.instances} files of instances with it."
        )
        if done.aside:
            typer.echo(f"The database that was there lies in {done.aside}.")
        if schema.current(database) != schema.head():
            typer.echo(f"The database has schema {schema.upgrade(database)} now.")
        _say_who_is_back(database, done.aside, manifest.made_at)
        reconcile(spool, database)
        stop_again(spool, database, since=datetime.fromisoformat(manifest.made_at).timestamp())


def _say_who_is_back(database: Database, aside: Path | None, made_at: str) -> None:
    """Tokens that were revoked since the backup: it knows nothing of that."""
    with database.read() as connection:
        if not tokens.is_any(connection):
            return
        try:
            found = _good_again(connection, aside)
        except (DatabaseError, NodeError):  # damaged, or of another schema
            found = None
    typer.echo("Who was signed in on the web page has to sign in again.")
    if found is None:
        typer.echo(
            f"Tokens that were revoked since {made_at} are good again: see `tokens list`, then "
            "`tokens revoke NAME`."
        )
    for name in found or ():
        typer.echo(f'The token {name} is good again: `tokens revoke "{name}"` ends it.')


def _good_again(connection: Connection, aside: Path | None) -> list[str] | None:
    """None where no database tells."""
    if aside is None:
        return None
    before = Database(f"sqlite:///{aside}")
    try:
        with before.read() as replaced:
            return tokens.good_again(replaced, connection)
    finally:
        before.close()
