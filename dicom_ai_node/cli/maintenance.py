"""`rescan`, `purge`, `db upgrade`, `db rebuild`: what is done by hand, now and then."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, configure_log, open_node
from dicom_ai_node.cli.show import busy, print_json
from dicom_ai_node.config.load import load
from dicom_ai_node.database import schema, soundness
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import RECEIVING_LOCK, Spool

if TYPE_CHECKING:
    from dicom_ai_node.outbox_rescan import FoundOutbox
    from dicom_ai_node.receive.rescan import Found

db = typer.Typer(help="The database.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.command()(rescan)
    app.command()(purge)


def rescan(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Reconcile the spool's files with the database; only while the node does not receive."""
    node = open_node(config)
    with node.spool.lock("receive"), node.spool.lock(RECEIVING_LOCK):
        is_well = reconcile(node.spool, node.database, as_json=as_json)
    if not is_well:
        raise typer.Exit(1)


def reconcile(spool: Spool, database: Database, *, as_json: bool = False) -> bool:
    """Spool and table, in both directions; False where something is left for a person."""
    from dicom_ai_node.outbox_rescan import rescan_outbox
    from dicom_ai_node.receive import rescan as reception

    with busy("Looking at every stored instance …"):
        found = reception.rescan(spool, database)
    if not as_json:
        _tell_instances(found)
    with busy("Looking at every result …"):
        outbox = rescan_outbox(spool, database)
    if as_json:
        print_json({"instances": asdict(found), "results": asdict(outbox)})
    else:
        _tell_results(outbox)
    return not (found.lost or outbox.gone or outbox.forgotten_notes)


def _tell_instances(found: "Found") -> None:
    typer.echo(
        f"{found.adopted} instances adopted, {found.removed} second copies removed, "
        f"{found.unreadable} files unreadable, {found.lost} rows without their file."
    )
    if found.unreadable:
        typer.echo("The log names the unreadable files; they were left where they are.", err=True)
    if found.lost:
        typer.echo(
            "Send the studies of the lost instances again: `dicom-ai-node studies list` has them.",
            err=True,
        )


def _tell_results(outbox: "FoundOutbox") -> None:
    typer.echo(
        f"{outbox.without_job} results without a job, {outbox.run_again} jobs that run again, "
        f"{outbox.gone} whose results are gone."
    )
    if outbox.without_job:
        typer.echo("They are sent, unchanged, when their studies are judged again; else they stay.")
    if outbox.forgotten_notes:
        typer.echo(
            "Results were retracted of which the database knows nothing: they are not sent again. "
            "Run `dicom-ai-node results retract` again, for what its notes did not reach.",
            err=True,
        )


def purge(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Delete the files of delivered studies that are older than node.retain_days."""
    from dicom_ai_node.purge import purge_expired

    node = open_node(config)
    number = purge_expired(node.config, node.spool, node.database, now=node.database.now())
    if as_json:
        print_json({"studies": number})
    else:
        typer.echo(f"{number} studies purged.")


@db.command()
def upgrade(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Bring the database to this program's schema, while the node stands still; keeps a copy."""
    from dicom_ai_node.backup.restore import standing_still

    spool, database = _at_rest(config)
    with standing_still(spool):
        before = schema.current(database)
        if before not in (None, schema.head()):
            kept = database.path.with_name(f"{database.path.name}.schema-{before}")
            if not kept.exists():
                part = kept.with_name(f"{kept.name}.part")
                part.unlink(missing_ok=True)
                soundness.copy(database.path, part)
                part.rename(kept)
            typer.echo(f"The database as it was is kept in {kept}.")
        version = schema.upgrade(database)
    typer.echo(f"The database has schema {version}.")


@db.command()
def rebuild(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Make a new database from the spool, while the node stands still; the old one is kept.

    Studies are judged again; results that are in the outbox are sent again, unchanged.
    """
    from dicom_ai_node.backup.restore import move_aside, standing_still
    from dicom_ai_node.receive.conflicts import stop_again

    spool, database = _at_rest(config)
    with standing_still(spool):
        if aside := move_aside(database.path):
            typer.echo(f"The database that was there lies in {aside}.")
        schema.require_current(database)
        reconcile(spool, database)
        stop_again(spool, database)


def _at_rest(directory: Path) -> tuple[Spool, Database]:
    """Without a look at the database, which may be damaged, gone or old."""
    os.umask(0o077)
    config = load(directory)
    spool = Spool(config.node.spool)
    configure_log(config, spool)
    return spool, Database(config.node.database)
