"""All checks, in the order in which a person would mend things."""

from collections.abc import Iterator, Sequence

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.doctor import (
    certificates,
    configuration,
    database,
    files,
    machine,
    models,
    peers,
    senders,
)
from dicom_ai_node.doctor.finding import Finding, Level
from dicom_ai_node.spool import Spool


def examine(
    config: Config,
    spool: Spool,
    opened: Database,
    *,
    every: bool,
    mistakes: Sequence[str] = (),
) -> Iterator[Finding]:
    """`every`: each stored file is read, and the whole database; it may take hours. `mistakes` are
    those of the files, where `config` is what the node runs with."""
    yield from machine.examine(config, spool, opened.path)
    file = list(database.examine(opened, thorough=every))
    yield from file
    is_whole = all(each.level is not Level.FAIL for each in file)
    if is_whole and database.is_usable(opened):
        yield from database.examine_rows(opened)
        yield from files.examine(spool, opened, every=every)
        yield from peers.examine(config, opened)
    yield from senders.examine(config, spool)
    yield from configuration.examine(config, spool, mistakes)
    yield from certificates.examine(config)
    yield from models.examine(config)
