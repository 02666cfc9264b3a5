"""`doctor`: is the node well?"""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dicom_ai_node.cli.node import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigDir,
    configure_log,
    read_verb_config,
)
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import tallies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.ownership import doubts, require_own_spool
from dicom_ai_node.spool import Spool

log = get_logger(__name__)


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    every: Annotated[
        bool, typer.Option("--all", help="Read every stored file, and the whole database.")
    ] = False,
    correct: Annotated[
        bool, typer.Option("--correct", help="Have the books say what is counted.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Check database, files, books, space, clock, versions, certificates, models and peers; exit 1
    if something has failed."""
    from dicom_ai_node.doctor import database as checks
    from dicom_ai_node.doctor.examine import examine
    from dicom_ai_node.doctor.finding import Level, fail, warn

    os.umask(0o077)
    settings, mistakes = read_verb_config(config)
    require_own_spool(settings)
    spool = Spool(settings.node.spool)
    configure_log(settings, spool)
    database = Database(settings.node.database)
    if correct and checks.is_usable(database):
        with database.write() as connection:
            wrong = tallies.correct(connection)
        log.warning("books_corrected", tallies=len(wrong))
    findings = [
        *(warn("owners", said, step) for said, step in _doubts(settings, config)),
        *(fail("secrets", said, step) for said, step in ([] if mistakes else _secrets(config))),
        *examine(settings, spool, database, every=every, mistakes=mistakes),
    ]
    database.close()
    if as_json:
        print_json([asdict(each) for each in findings])
    else:
        out = console(soft_wrap=True)
        for each in findings:
            out.print(f"{each.level:4}  {each.check}: {each.text}")
            if each.next_step:
                out.print(f"      → {each.next_step}")
    if any(each.level is Level.FAIL for each in findings):
        raise typer.Exit(1)


def _doubts(settings: Config, directory: Path) -> Iterator[tuple[str, str]]:
    """Who owns what, and who may touch it: what is so, and the next step."""
    for each in doubts(settings, directory):
        said, _, step = each.rpartition(": ")
        yield said, step


def _secrets(directory: Path) -> Iterator[tuple[str, str]]:
    """Files of secrets with which the node would not start again: what is so, and the next step."""
    try:
        load(directory, need_secrets=True)
    except ConfigError as error:
        for each in str(error).splitlines():
            said, _, step = each.rpartition(": ")
            yield said, step
