"""One database, one spool: two nodes with spools of their own would lose each other's files."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_ai_node.errors import AlreadyRunning

_WAIT_S = 5.0  # while another process of this node writes down the same


@contextmanager
def claimed(database: Path, spool: Path) -> Iterator[None]:
    """Held by every role of a node, together; raises AlreadyRunning where another spool has it.

    Who comes first writes down the spool under an exclusive lock, which then becomes a shared one;
    since it is lost for a moment between the two, everybody reads what is there under the latter.
    """
    path = database.with_name(f"{database.name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if _lock(descriptor, fcntl.LOCK_EX, 0):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _identity(spool), 0)
        if not _lock(descriptor, fcntl.LOCK_SH, _WAIT_S) or (
            os.pread(descriptor, 10_000, 0) != _identity(spool)
        ):
            raise AlreadyRunning(
                f"the database {database} is in use by a node with another spool than {spool}: "
                "stop that one, or give this node a database of its own"
            )
        yield
    finally:
        os.close(descriptor)


def _identity(spool: Path) -> bytes:
    """Not its path, which may have several names."""
    found = spool.stat()
    return f"spool {found.st_dev} {found.st_ino}\n".encode()


def _lock(descriptor: int, how: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True
