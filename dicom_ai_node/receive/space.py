"""Watermarks on the file systems of spool and database (P9)."""

import os
import resource
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from dicom_ai_node.config.settings import LimitsSettings
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

_LOOK_AGAIN_S = 0.5
_MB = 1_000_000
_DESCRIPTORS = 40  # of associations that are there: files made ahead, the database, its journal


class Space:
    """How much is free where it is least; looked up twice a second at the most."""

    def __init__(self, folders: Sequence[Path], limits: LimitsSettings) -> None:
        self._folders = tuple(folders)
        self._soft = limits.space_soft_mb * _MB
        self._hard = limits.space_hard_mb * _MB
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._free = 0
        self._was_low = False

    def is_low(self) -> bool:
        """Below the soft mark: associations that would begin now are turned away."""
        low = self._look() < self._soft
        if low != self._was_low:
            self._was_low = low
            level = log.error if low else log.info
            level("disk_space_low" if low else "disk_space_again", free_mb=self._free // _MB)
        return low

    def is_scarce(self) -> bool:
        """Below the hard mark: what is left is for results that are being made."""
        return self._look() < self._hard

    def _look(self) -> int:
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= _LOOK_AGAIN_S:
                self._free = min(_free(folder) for folder in self._folders)
                self._looked_at = now
            return self._free


def is_short_of_descriptors() -> bool:
    """Few are left to this process: what is open goes on, and nobody new is let in (P9)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no objects for a number
    except FileNotFoundError:  # no Linux: then accept() says it
        return False
    except OSError:  # not even one
        return True
    return soft != resource.RLIM_INFINITY and soft - used < _DESCRIPTORS


def _free(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0  # a disk that does not even say so takes nothing
    return found.f_bavail * found.f_frsize
