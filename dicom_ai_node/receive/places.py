"""Where an instance is written while it comes: one file each, one sync each.

The files are made ahead, empty, with their directory entries durable; what is then left to sync is
the bytes. Write, rename and directory would be three.
"""

import hashlib
import os
import threading
from collections import deque

from dicom_ai_node.receive.part10 import SEAL
from dicom_ai_node.spool import Spool

_AHEAD = 32  # places made at once, for one sync of their directory


class Places:
    """Empty files for instances to come; shared by the associations of one process."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._names: deque[str] = deque()
        self._lock = threading.Lock()

    def take(self) -> str:
        with self._lock:
            if not self._names:
                self._names.extend(self._spool.make_places(_AHEAD))
            return self._names.popleft()

    def close(self) -> None:
        with self._lock:
            while self._names:
                self._spool.instance_path(self._names.popleft()).unlink(missing_ok=True)


class InstanceFile:
    """One instance on its way to the disk; `head` is what stands before its data set.

    Any OSError of the disk is the caller's, after `discard()`.
    """

    def __init__(self, spool: Spool, name: str, head: bytes) -> None:
        self.name = name
        self._path = spool.instance_path(name)
        self._seal_at = len(head) - SEAL.size
        self._digest = hashlib.sha256()
        self.size = 0
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._write(memoryview(head))

    def write(self, data: memoryview) -> None:
        self._digest.update(data)
        self.size += len(data)
        self._write(data)

    def _write(self, data: memoryview) -> None:
        while data:  # a nearly full disk takes a part
            data = data[os.write(self._descriptor, data) :]

    def seal(self) -> str:
        """Make it durable (P1), and return the SHA-256 of its data set.

        An error of the sync is final: a second one on the same file could succeed without the data
        being there. The caller discards it, and the peer sends again.
        """
        os.pwrite(self._descriptor, SEAL.pack(self.size, self._digest.digest()), self._seal_at)
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        return self._digest.hexdigest()

    def discard(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._path.unlink(missing_ok=True)
