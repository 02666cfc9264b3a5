"""`rescan`, `purge` and `db upgrade`: what an administrator does by hand, now and then."""

import os

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir, configure_log, open_node
from dicom_ai_node.config.load import load
from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool

db = typer.Typer(help="The database.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.command()(rescan)
    app.command()(purge)


def rescan(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Reconcile the spool's files with the database; only while the node does not receive."""
    from dicom_ai_node.receive import rescan as reception

    node = open_node(config)
    with node.spool.lock("receive"):
        found = reception.rescan(node.spool, node.database)
    typer.echo(
        f"{found.adopted} instances adopted, {found.removed} second copies removed, "
        f"{found.unreadable} files unreadable, {found.lost} rows without their file."
    )
    if found.unreadable:
        typer.echo("The log names the unreadable files; they were left where they are.", err=True)
    if found.lost:
        typer.echo("Send the studies of the lost instances again.", err=True)
        raise typer.Exit(1)


def purge(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Delete the files of delivered studies that are older than node.retain_days."""
    from dicom_ai_node.purge import purge_expired

    node = open_node(config)
    number = purge_expired(node.config, node.spool, node.database, now=node.database.now())
    typer.echo(f"{number} studies purged.")


@db.command()
def upgrade(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Bring the database to this program's schema; back it up first."""
    os.umask(0o077)
    found = load(config)
    spool = Spool(found.node.spool)
    configure_log(found, spool)
    with spool.lock("run"):
        version = schema.upgrade(Database(found.node.database))
    typer.echo(f"The database has schema {version}.")
