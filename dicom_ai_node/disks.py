"""What the node stands on: a disk of another machine, or one that is slow, is said at the start."""

import os
import time
import uuid
from pathlib import Path

from dicom_ai_node.log import get_logger

log = get_logger(__name__)

SLOW_S = 0.25  # for a few bytes, synced; a disk that is well needs some milliseconds
# of other machines: their locks and syncs may be no more than words
NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "ncpfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.s3fs", "lustre", "ocfs2"),
    )
)
_MOUNTS = Path("/proc/self/mountinfo")


def look_at_disks(spool: Path, database: Path) -> None:
    """Warnings, which keep nobody from starting: reception waits for its disk, however slow."""
    mounts = _MOUNTS.read_text() if _MOUNTS.exists() else ""
    for key, folder in (("node.spool", spool), ("node.database", database.parent)):
        kind = kind_of(folder, mounts)
        if kind in NETWORK:
            log.warning("disk_of_another_machine", key=key, kind=kind, next_step="use a local disk")
        needs_s = sync_s(folder)
        if needs_s > SLOW_S:
            log.warning("disk_is_slow", key=key, sync_s=round(needs_s, 2))


def kind_of(folder: Path, mounts: str) -> str:
    """Of the file system on which a folder lies; `mounts` as proc(5) describes mountinfo."""
    best, kind = -1, ""
    path = folder.resolve()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= best:  # the later one lies above
            best, kind = len(point.parts), after.split()[0]
    return kind


def sync_s(folder: Path) -> float:
    """How long it takes until a small new file is on the disk; 0.0 where none can be made, which
    others will say."""
    path = folder / f".sync-{uuid.uuid4().hex}"
    began = time.monotonic()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"\0" * 512)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.unlink()
    except OSError:
        return 0.0
    return time.monotonic() - began
