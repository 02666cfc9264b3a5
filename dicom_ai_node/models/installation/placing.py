"""Packages enter and leave the store whole: built in a hidden folder of it, synced, renamed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_ai_node.config.manifest import MANIFEST, hashes_of, manifest_bytes
from dicom_ai_node.config.store import MODEL_YAML
from dicom_ai_node.errors import ConfigError

_SITE = ".installing-"
_REPLACED = "replaced"


@contextmanager
def building_site(store: Path) -> Iterator[Path]:
    """An empty folder in the store that no reader sees; one at a time, others wait.

    What an installation left that was killed is put in order first.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(
            f"the model store {store} cannot be made ({error.strerror}): check node.models"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in store.glob(f"{_SITE}*"):
            _put_back(left, store)
            shutil.rmtree(left, ignore_errors=True)
        try:
            site = tempfile.TemporaryDirectory(dir=store, prefix=_SITE)
        except OSError as error:
            raise ConfigError(
                f"the model store {store} cannot be written to ({error.strerror}): do it as its "
                "owner"
            ) from None
        with site as folder:
            yield Path(folder)
    finally:
        os.close(descriptor)


def pin(folder: Path) -> None:
    """Write the manifest of all that lies in the folder now, and sync it."""
    write(folder / MANIFEST, manifest_bytes(hashes_of(folder)))
    for below in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        _sync_folder(below)


def place(folder: Path, target: Path, site: Path) -> None:
    """Rename a pinned folder into the store; what was there goes with the building site."""
    if (target.parent / MODEL_YAML).exists():  # of the days before versions had folders
        target.parent.rename(site / "unversioned")
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        aside = site / _REPLACED / target.parent.name / target.name
        aside.parent.mkdir(parents=True)
        target.rename(aside)
    folder.rename(target)
    _sync_folder(target.parent)
    _sync_folder(target.parent.parent)


def remove(folder: Path, store: Path) -> None:
    """One version leaves the store, whole: no reader ever sees half of it."""
    with building_site(store) as site:
        if not folder.exists():
            raise ConfigError(f"{folder} is gone already: somebody else removes it as well")
        folder.rename(site / "removed")
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        _sync_folder(store)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_back(left: Path, store: Path) -> None:
    """A kill between the two renames of `place` took the old version, and gave no new one."""
    for old in left.glob(f"{_REPLACED}/*/*"):
        target = store / old.parent.name / old.name
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            old.rename(target)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
