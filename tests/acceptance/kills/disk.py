"""A small disk of the node's own, which can be filled."""

import os
import subprocess
from pathlib import Path

_BALLAST = "ballast"


class SmallDisk:
    """A tmpfs, where it may be mounted; else a folder that is never full."""

    def __init__(self, folder: Path, *, size_mb: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True)
        self.is_small = done.returncode == 0

    def fill(self, *, but_mb: int) -> None:
        """So that only so much is left."""
        free = os.statvfs(self.folder)
        size = free.f_bavail * free.f_frsize - (but_mb << 20)
        if size <= 0:
            return
        descriptor = os.open(self.folder / _BALLAST, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)

    def empty(self) -> None:
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def unmount(self) -> None:
        if self.is_small:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
            self.is_small = False
