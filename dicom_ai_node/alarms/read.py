"""The facts that alarms are raised by, from where they are: rows, disks, files."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from dicom_ai_node.alarms.facts import CertificateFile, Disk, Facts
from dicom_ai_node.certificate_ends import certificate_files, ends
from dicom_ai_node.config.disabled import Disabled, read_disabled
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import probe_runs, signs
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.soundness import damage_file
from dicom_ai_node.draining import is_draining
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.peers.contact import Contact
from dicom_ai_node.purge import doubted_until
from dicom_ai_node.spool import LAST_BACKUP, Spool

_DAY_S = 86_400.0
USUAL_DAYS = 14
_MB = 1_000_000


def read_facts(
    config: Config,
    spool: Spool,
    database: Database,
    contacts: Mapping[str, Contact],
    *,
    now: float,
    audit_waits_since: Callable[[], float | None] = lambda: None,
) -> Facts:
    """`contacts` are those of this process with the peers."""
    disabled = _disabled(config.node.models)
    off = [(each.model, each.version) for each in disabled]
    yesterday = now - _DAY_S
    with database.read() as connection:
        return Facts(
            books=books(connection),
            last_received=signs.last_received(connection),
            in_vain=signs.tried_in_vain(connection),
            refusing={name: each.reason for name, each in contacts.items() if each.refuses_us},
            uncommitted=signs.uncommitted(connection),
            answers=signs.answers(connection, since=yesterday, until=now),
            answers_before=signs.answers(
                connection, since=yesterday - USUAL_DAYS * _DAY_S, until=yesterday
            ),
            lost_studies=signs.lost_studies(connection),
            queue=signs.queue(connection, disabled=off, now=now),
            is_draining=is_draining(spool),
            disabled=disabled,
            disks=tuple(_disks(spool.root, database.path.parent)),
            certificates=tuple(_certificates(config)),
            database_damage=_damage(spool),
            clock_doubted_until=doubted_until(spool, now=now),
            last_backup=_time_of(spool.root / LAST_BACKUP),
            probe_under_way=probe_runs.under_way(connection),
            probe_finished=probe_runs.last_finished(connection),
            audit_waits_since=audit_waits_since(),
            peers=frozenset(config.peers),
        )


def _disabled(store: Path) -> tuple[Disabled, ...]:
    try:
        return tuple(read_disabled(store).values())
    except ConfigError:
        return ()  # then no job begins, which is an alarm of its own


def _disks(spool: Path, database: Path) -> Iterator[Disk]:
    """A disk that holds both is said once; one that does not answer has no room."""
    yield Disk(name="spool", free_mb=_free_mb(spool))
    if _device(database) != _device(spool):
        yield Disk(name="database", free_mb=_free_mb(database))


def _free_mb(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize // _MB


def _device(folder: Path) -> int:
    try:
        return folder.stat().st_dev
    except OSError:
        return -1


def _certificates(config: Config) -> Iterator[CertificateFile]:
    for key, path in certificate_files(config):
        try:
            end = ends(key, path)
        except ConfigError:
            yield CertificateFile(key=key, ends=None)
        else:
            yield CertificateFile(key=key, ends=end or datetime.max.replace(tzinfo=UTC))


def _damage(spool: Spool) -> str:
    try:
        return damage_file(spool.root / "database-checked").read_text()
    except FileNotFoundError:
        return ""


def _time_of(path: Path) -> float | None:
    return path.stat().st_mtime if path.exists() else None
