"""A backup put back, while the node stands still: files first, the database last."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dicom_ai_node.backup.make import copied
from dicom_ai_node.backup.manifest import (
    DATABASE,
    INSTANCES,
    OUTBOX,
    SALT,
    Manifest,
    problems,
    read_manifest,
    sha256_of,
)
from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import sidecars
from dicom_ai_node.errors import NodeError
from dicom_ai_node.spool import (
    RECEIVING_LOCK,
    WEB_KEY,
    Spool,
    make_durable_folder,
    remove_folder,
    sync_folder,
)

_ROLES = ("run", "receive", RECEIVING_LOCK, "work", "deliver", "web", "backup")
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put back; what the spool had already stayed as it was."""

    results: int  # folders of the outbox
    instances: int  # files
    aside: Path | None  # where the database lies that was replaced


@contextmanager
def standing_still(spool: Spool) -> Iterator[None]:
    """No part of the node runs on this spool; AlreadyRunning names one that does."""
    with ExitStack() as held:
        for role in _ROLES:
            held.enter_context(spool.lock(role))
        yield


def checked(folder: Path) -> Manifest:
    """Every byte of it is read; raises NodeError where one is not what was backed up."""
    manifest = read_manifest(folder)
    found = list(islice(problems(folder, manifest), _SHOWN + 1))
    if found:
        more = ", …" if len(found) > _SHOWN else ""
        raise NodeError(
            f"the backup {folder} is not whole: {', '.join(found[:_SHOWN])}{more}; "
            "nothing was put back: take another one"
        )
    return manifest


def put_back(
    folder: Path, manifest: Manifest, spool: Spool, database: Path, *, force: bool
) -> Restored:
    """Killed anywhere, it may be repeated. `manifest` is that of a backup that was checked."""
    if manifest.schema not in schema.known():
        raise NodeError(
            f"the backup has schema {manifest.schema}, which this program does not know: "
            f"install version {manifest.program}, which made it, or a newer one"
        )
    if database.exists() and database.stat().st_size and not force:
        raise NodeError(
            f"there is a database {database}: `--force` moves it aside and puts the backup in its "
            "place"
        )
    results = sum(_put_results(path, spool) for path in sorted((folder / OUTBOX).glob("??/*")))
    instances = sum(
        _put_file(folder, name, manifest, spool)
        for name in manifest.files
        if name.split("/")[0] in INSTANCES
    )
    (spool.root / WEB_KEY).unlink(missing_ok=True)  # its sessions are of the other database
    if not (spool.root / SALT).exists():
        copied(folder / SALT, spool.root / SALT)
    return Restored(
        results=results, instances=instances, aside=_put_database(folder / DATABASE, database)
    )


def _put_results(source: Path, spool: Spool) -> bool:
    """The first result stored wins: what lies in the outbox stays."""
    target = spool.outbox / source.parent.name / source.name
    if target.exists():
        return False
    part = spool.incoming / f"restore-{source.name}"
    remove_folder(part)
    shutil.copytree(source, part)
    for path in part.iterdir():
        _sync(path)
    sync_folder(part)
    make_durable_folder(target.parent)
    part.rename(target)
    sync_folder(target.parent)
    return True


def _put_file(folder: Path, name: str, manifest: Manifest, spool: Spool) -> bool:
    target, kept = spool.root / name, manifest.files[name]
    if target.is_file() and target.stat().st_size == kept.size and sha256_of(target) == kept.sha256:
        return False
    part = spool.incoming / "restore.part"
    part.unlink(missing_ok=True)
    copied(folder / name, part)
    make_durable_folder(target.parent)
    part.rename(target)
    sync_folder(target.parent)
    return True


def _put_database(source: Path, database: Path) -> Path | None:
    make_durable_folder(database.parent.absolute())
    part = database.with_name(f"{database.name}.restoring")
    part.unlink(missing_ok=True)
    copied(source, part)
    aside = move_aside(database)
    part.rename(database)
    sync_folder(database.parent)
    return aside


def move_aside(database: Path) -> Path | None:
    """With its journal, which would be played back into whatever comes in its place; where to."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    target = database.with_name(f"{database.name}.replaced-{stamp}")
    for path in (database, *sidecars(database)):
        if path.exists():
            path.rename(path.with_name(path.name.replace(database.name, target.name, 1)))
    sync_folder(database.parent)
    return target if target.exists() else None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
