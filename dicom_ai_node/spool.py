"""The disk: where every file lies, how it becomes durable, and when it goes.

    instances/ab/ab12….dcm   what was received, Part 10, one file an instance; an empty one is a
                             place made ahead for an instance to come
    conflict/ab/ab12….dcm    what came under a UID that was stored with other contents
    outbox/ab/ab12…/         the results of one job, whole or not there at all
    incoming/                files and folders on their way; emptied at start
    locks/                   one lock a role
    metrics/                 numbers that only a process knows: see `metrics`
    taken-out/               lists of files whose rows are gone, until they are gone themselves

Names are random or hashes of ours: nothing from the wire is ever part of a path (P19).
"""

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from dicom_ai_node.errors import AlreadyRunning, ConfigError

# shared by all processes that receive: what they write is not complete, and has no row
WEB_KEY = "web-key"  # signs the sessions of the web page
RECEIVING_LOCK = "receiving"
LAST_BACKUP = "last-backup"  # an empty file: its time is that of the last backup
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Place(NamedTuple):
    """An empty file for an instance to come."""

    name: str
    descriptor: int


class Spool:
    """Paths below one root; the folders are made when it is opened."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.incoming = self.root / "incoming"
        self.instances = self.root / "instances"
        self.conflict = self.root / "conflict"
        self.outbox = self.root / "outbox"
        self.locks = self.root / "locks"
        self.metrics = self.root / "metrics"  # made by who writes there
        try:
            for folder in (self.incoming, self.instances, self.conflict, self.outbox, self.locks):
                make_durable_folder(folder)
        except OSError as error:
            raise ConfigError(
                f"the spool {root} cannot be made ({error.strerror}): check node.spool"
            ) from error

    def instance_path(self, file: str) -> Path:
        return self.instances / file[:2] / file

    def make_places(self, number: int) -> list[Place]:
        """New, empty instance files, open for writing, whose directory entries are durable."""
        prefix = uuid.uuid4().hex[:2]
        folder = self.instances / prefix
        make_durable_folder(folder)
        made: list[Place] = []
        try:
            for _ in range(number):
                name = f"{prefix}{uuid.uuid4().hex[2:]}.dcm"
                made.append(Place(name, os.open(folder / name, _CREATE, 0o600)))
            sync_folder(folder)
        except OSError:
            self.give_back(made)
            raise
        return made

    def give_back(self, places: Iterable[Place]) -> None:
        """Close and remove empty places; what cannot be removed, the next start finds."""
        for place in places:
            os.close(place.descriptor)
        with suppress(OSError):  # a disk that fails may let nothing be removed
            for place in places:
                self.instance_path(place.name).unlink(missing_ok=True)

    def set_aside(self, file: str, name: str) -> None:
        """Keep an instance that contradicts a stored one; the same again is kept once."""
        target = self.conflict_path(name)
        make_durable_folder(target.parent)
        self.instance_path(file).replace(target)
        sync_folder(target.parent)

    def conflict_path(self, name: str) -> Path:
        return self.conflict / name[:2] / name

    def make_durable(self, file: str) -> None:
        """An instance that a killed receiver may have written, and not synced."""
        path = self.instance_path(file)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)
        sync_folder(path.parent.parent)

    def instance_files(self) -> Iterator[Path]:
        return (path for path in self._instance_paths() if path.stat().st_size)

    def holds_anything(self) -> bool:
        """Instances or results, of which a database would know."""
        return any(self.instance_files()) or any(self.outbox.glob("??/*"))

    def sweep_places(self) -> None:
        """Remove the empty files that a killed receiver had made ahead."""
        for path in self._instance_paths():
            if not path.stat().st_size:
                path.unlink()

    def _instance_paths(self) -> Iterator[Path]:
        return self.instances.glob("??/*.dcm")

    def outbox_path(self, job_key: str) -> Path:
        return self.outbox / job_key[:2] / job_key

    def attempt_path(self, lease_id: str) -> Path:
        """Where one attempt builds its results; `publish()` moves the folder into the outbox."""
        return self.incoming / f"attempt-{lease_id}"

    def publish(self, attempt: Path, job_key: str) -> Path:
        """Rename a finished attempt into the outbox; the first result stored wins (P7, E11)."""
        target = self.outbox_path(job_key)
        make_durable_folder(target.parent)
        if target.exists():
            remove_folder(attempt)
        else:
            attempt.rename(target)
            sync_folder(target.parent)
        return target

    def sweep_incoming(self, pattern: str) -> None:
        """Remove what a killed process of the caller's own role left half done."""
        for path in self.incoming.glob(pattern):
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink()

    def lock(self, role: str, wait_s: float = 0) -> AbstractContextManager[None]:
        """Hold the role on this spool, or raise AlreadyRunning; a killed process lets go of it."""
        return self._held(role, wait_s, fcntl.LOCK_EX)

    def share(self, role: str, wait_s: float = 0) -> AbstractContextManager[None]:
        """The same for several processes at once, none of them beside one that has the lock."""
        return self._held(role, wait_s, fcntl.LOCK_SH)

    def holder(self, role: str) -> int | None:
        """The process that has the role now; 0 when it could not write down its number."""
        try:
            descriptor = os.open(self.locks / f"{role}.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(descriptor, 20, 0).strip()
            return int(said) if said.isdigit() else 0
        else:
            return None
        finally:
            os.close(descriptor)

    @contextmanager
    def _held(self, role: str, wait_s: float, how: int) -> Iterator[None]:
        path = self.locks / f"{role}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _flock(descriptor, how, role, self.root, wait_s)
            with suppress(OSError):  # on a full disk the holder has no name, and runs
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def durable_write(target: Path, chunks: Iterable[bytes], part: Path) -> None:
    """Bytes on disk before the name is: write, sync, rename, sync the folder (P1).

    Nothing is left behind when any step fails.
    """
    make_durable_folder(target.parent)
    descriptor = os.open(part, _CREATE, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fdatasync(file.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)  # after the rename there is none
    sync_folder(target.parent)


def remove_folder(folder: Path) -> None:
    """Also where a model has written, and has taken the right to look inside or to delete from its
    folders. What somebody still writes to may be left over, which is no reason to stop."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _allow_all(folder)
        for root, folders, _ in os.walk(folder):  # from the top: each is listed after its turn
            for name in folders:
                _allow_all(Path(root, name))
        shutil.rmtree(folder, ignore_errors=True)


def _allow_all(folder: Path) -> None:
    """To its owner. By a descriptor: the name could become a link to something else."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            Path(f"/proc/self/fd/{descriptor}").chmod(0o700)
        finally:
            os.close(descriptor)


def make_durable_folder(folder: Path) -> None:
    """A folder whose own entry survives a power cut, made once."""
    if not folder.is_dir():
        make_durable_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            sync_folder(folder.parent)
        except OSError:
            with suppress(OSError):  # somebody may use it already
                folder.rmdir()  # else it would pass for durable
            raise


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, how: int, role: str, root: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunning(
                f"{role} already runs on the spool {root} (process {holder}): "
                "stop that one, or give this node a spool of its own"
            ) from None
        return


def is_held(lock: Path) -> bool:
    """Without asking for the lock: a role that starts at this moment must get it."""
    try:
        inode = lock.stat().st_ino
    except FileNotFoundError:
        return False
    held = Path("/proc/locks").read_text()
    return any(f":{inode}" in word for line in held.splitlines() for word in line.split()[5:6])
