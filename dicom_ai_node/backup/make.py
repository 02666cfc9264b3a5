"""A backup of a node that may run meanwhile: a folder that is whole, or not there."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dicom_ai_node import __version__
from dicom_ai_node.backup.manifest import (
    CONFIG,
    DATABASE,
    INSTANCES,
    MANIFEST,
    OUTBOX,
    SALT,
    Kept,
    Manifest,
    sha256_of,
)
from dicom_ai_node.database import schema, soundness
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import NodeError
from dicom_ai_node.log import get_logger
from dicom_ai_node.spool import LAST_BACKUP, Spool, durable_write, remove_folder, sync_folder

log = get_logger(__name__)

_CHUNK = 1 << 20


def make_backup(
    target: Path,
    config: Path,
    spool: Spool,
    database: Database,
    *,
    with_instances: bool,
    now: datetime,
) -> Manifest:
    """Of database, configuration and outbox; and of what was received, where that is asked for.

    The database first: what its rows speak of is there already, and what is purged meanwhile, no
    job needs any more. Raises NodeError.
    """
    if target.exists():
        raise NodeError(f"{target} is there already: name a folder that is not there yet")
    part = target.with_name(f"{target.name}.part")
    try:
        with spool.lock("backup"):
            remove_folder(part)  # of one that was killed
            part.mkdir(parents=True, mode=0o700)
            manifest = _filled(
                part, config, spool, database, with_instances=with_instances, now=now
            )
            durable_write(part / MANIFEST, [manifest.content()], part / f"{MANIFEST}.part")
            for root, _, _ in os.walk(part):
                sync_folder(Path(root))
            part.rename(target)
            sync_folder(target.parent)
            (spool.root / LAST_BACKUP).touch(mode=0o600)
    except OSError as error:
        remove_folder(part)
        raise NodeError(
            f"the backup {target} cannot be written ({error.strerror}): nothing is left of it; "
            "see to space and rights there, and repeat it"
        ) from None
    except NodeError:
        remove_folder(part)
        raise
    size = sum(kept.size for kept in manifest.files.values())
    log.info("backup_made", files=len(manifest.files), bytes=size, instances=with_instances)
    return manifest


def _filled(
    part: Path,
    config: Path,
    spool: Spool,
    database: Database,
    *,
    with_instances: bool,
    now: datetime,
) -> Manifest:
    files = {DATABASE: _database(database.path, part / DATABASE)}
    for path in sorted(config.glob("*.yaml")):
        files[f"{CONFIG}/{path.name}"] = copied(path, part / CONFIG / path.name)
    files[SALT] = copied(spool.root / SALT, part / SALT)
    for name in (OUTBOX, *(INSTANCES if with_instances else ())):
        for path in _whole(spool.root / name):
            below = path.relative_to(spool.root)
            try:
                files[below.as_posix()] = copied(path, part / below)
            except FileNotFoundError:  # purged meanwhile, or moved
                (part / below).unlink(missing_ok=True)
    return Manifest(
        made_at=now.isoformat(timespec="seconds"),
        program=__version__,
        schema=schema.current(database) or "",
        with_instances=with_instances,
        files=files,
    )


def _database(source: Path, target: Path) -> Kept:
    try:
        soundness.copy(source, target)
        found = soundness.what_is_wrong(target)
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found:
        raise NodeError(
            f"the database is damaged ({found}), and no backup is made of it: restore an older "
            "one, or run `dicom-ai-node db rebuild`"
        )
    return Kept(size=target.stat().st_size, sha256=sha256_of(target))


def _whole(folder: Path) -> Iterator[Path]:
    """Its files, without the empty places that are made ahead for instances to come."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            try:
                if path.stat().st_size or folder.name == OUTBOX:
                    yield path
            except FileNotFoundError:
                continue


def copied(source: Path, target: Path) -> Kept:
    """A new file, synced, with what was read once; its folders are not synced."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as come, target.open("xb") as go:
        while chunk := come.read(_CHUNK):
            go.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        go.flush()
        os.fdatasync(go.fileno())
    return Kept(size=size, sha256=digest.hexdigest())
