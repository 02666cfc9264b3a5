"""What a process costs, with whatever it has started: memory, processes, files. From /proc."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1 << 20
_SHARE = 0.8  # of the machine's memory, where nobody says


def family(pid: int) -> list[int]:
    """The process and its descendants, as far as they have not been adopted by others."""
    found = [pid]
    for each in found:
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


def size_mb(folder: Path) -> float:
    """Of the files below it that are there while we look, on the disk; links are not followed."""
    total = 0
    for root, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118
            except OSError:
                continue  # gone meanwhile
    return total / _MB


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
