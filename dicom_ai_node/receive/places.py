"""Where an instance is written while it comes: one file each, one sync each.

The files are made ahead, empty, with their directory entries durable; what is then left to sync is
the bytes. Write, rename and directory would be three.
"""

import hashlib
import os
import threading
from collections import deque

from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.part10 import SEAL
from dicom_ai_node.spool import Place, Spool

log = get_logger(__name__)

_AT_ONCE = 32  # places made for one sync of their directory
_FEW = _AT_ONCE // 2  # so many left, and more are made
_RETRY_S = 1.0


class Places:
    """Empty files for instances to come; shared by the associations of one process."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._ready: deque[Place] = deque()
        self._changed = threading.Condition()
        self._making = threading.Lock()  # many at once would fill the table of descriptors
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="places", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self) -> Place:
        """One place; raises OSError when the disk gives none."""
        with self._changed:
            if len(self._ready) <= _FEW:  # woken for nothing, it would want the interpreter's lock
                self._changed.notify()
            if self._ready:
                return self._ready.popleft()
        with self._making:
            with self._changed:
                if self._ready:  # another one has made them
                    return self._ready.popleft()
            first, *others = self._spool.make_places(_AT_ONCE)
            with self._changed:
                self._ready.extend(others)
        return first

    def _run(self) -> None:
        """Make places before they are needed: making them waits for the disk."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or len(self._ready) < _FEW)
                if self._stopping:
                    return
            try:
                self._make()
            except OSError:  # who needs a place finds out, and answers
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, timeout=_RETRY_S)

    def _make(self) -> None:
        with self._making:
            made = self._spool.make_places(_AT_ONCE)
            with self._changed:
                self._ready.extend(made)

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        self._spool.give_back(self._ready)


class InstanceFile:
    """One instance on its way to the disk; `head` is what stands before its data set.

    Any OSError of the disk is the caller's, who then calls `discard()`; that raises none.
    """

    def __init__(self, spool: Spool, place: Place, head: bytes) -> None:
        self.name = place.name
        self._spool = spool
        self._descriptor = place.descriptor
        self._seal_at = len(head) - SEAL.size
        self._digest = hashlib.sha256()
        self.size = 0
        try:
            self._write(memoryview(head))
        except OSError:
            self.discard()
            raise

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
        reached(Step.INSTANCE_WRITTEN)
        os.pwrite(self._descriptor, SEAL.pack(self.size, self._digest.digest()), self._seal_at)
        os.fdatasync(self._descriptor)
        reached(Step.INSTANCE_SYNCED)
        self._close()
        return self._digest.hexdigest()

    def discard(self) -> None:
        self._close()
        try:
            self._spool.instance_path(self.name).unlink(missing_ok=True)
        except OSError:  # the next rescan judges it by its seal
            log.exception("instance_not_removed", file=self.name)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
