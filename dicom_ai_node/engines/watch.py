"""What a process costs, with whatever it has started: memory, processes, files. From /proc."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1 << 20
_LEAST = 64 << 10  # bytes that one file or folder is counted for
_SHARE = 0.8  # of the machine's memory, where nobody says


def family(pid: int, *, enough: int) -> list[int]:
    """The process and its descendants, as far as they have not been adopted by others.

    Not more than about `enough`: they may multiply faster than anybody counts.
    """
    found = [pid]
    for each in found:
        if len(found) >= enough:
            break
        found += list(_children(each))
    return found


def memory_mb(pids: Sequence[int], *, more_than: float) -> float:
    """Of these processes. What they share is counted once where it matters: when the plain sum is
    more than that."""
    plain = sum(_resident(each) for each in pids) / _MB
    if plain <= more_than:
        return plain
    return sum(_proportional(each) for each in pids) / _MB


def resident_mb(pid: int) -> float:
    """Of the process alone."""
    return _resident(pid) / _MB


def size_mb(folder: Path, *, enough: float) -> float:
    """Of what lies below it while we look, on the disk; links are not followed.

    Not counted beyond `enough`. Many files cost at least `_LEAST` each, for they cost inodes, and
    time to look. Infinite where a folder lets nobody look inside.
    """
    total = 0
    try:
        for root, folders, names in os.walk(folder, onerror=_unless_gone):
            for name in (*folders, *names):
                total += max(_LEAST, _on_disk(os.path.join(root, name)))  # noqa: PTH118
            if total > enough * _MB:
                break
    except PermissionError:
        return math.inf
    return total / _MB


def _on_disk(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0  # gone meanwhile


def _unless_gone(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise error


def memory_limit_mb(root: Path = Path("/")) -> int:
    """What one may use in all where the configuration does not say: a share of the machine's, or
    of the cgroup's, which is less in a container."""
    limits = [_meminfo(root / "proc/meminfo")]
    for file in (
        "sys/fs/cgroup/memory.max",
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        *_own_cgroup(root),
    ):
        try:
            text = (root / file).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            limits.append(int(text))
    return int(min(limits) * _SHARE / _MB)


def _own_cgroup(root: Path) -> Iterator[str]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield f"sys/fs/cgroup{path}/memory.max"
        elif controllers == "memory":
            yield f"sys/fs/cgroup/memory{path}/memory.limit_in_bytes"


def _meminfo(file: Path) -> int:
    for line in file.read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise LookupError("no MemTotal in /proc/meminfo")


def _children(pid: int) -> Iterator[int]:
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text().split())
    except OSError:
        return  # it has ended


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _resident(pid)
