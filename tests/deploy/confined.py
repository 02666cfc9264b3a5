"""What a unit of deploy/systemd forbids, done to a process where systemd itself does not run.

    unshare --mount python confined.py UNIT HOME command…

As root, in a mount namespace of its own. From the unit are taken: its system calls, memory that is
never writable and executable at once, no capabilities, no new privileges, a user of its own, files
that are read-only but for HOME/state and a /tmp of its own, which is what ProtectSystem=strict, a
container with a read-only root, and Pod Security's «restricted» come to.
"""

import ctypes
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

UID = 10001
HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _CAPBSET_DROP, _SET_MDWE = 38, 22, 24, 65
_FILTER, _X86_64 = 2, 0xC000003E
_LOAD, _EQUAL, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # EPERM, as the units say
_STAYS = {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/tmp"}  # noqa: S108
_libc = ctypes.CDLL(None, use_errno=True)


def allowed(unit: str) -> set[str]:
    """Names of system calls, by the lines SystemCallFilter= of a unit, in their order."""
    found = set(_group("@default"))
    for line in re.findall(r"(?m)^SystemCallFilter=(.*)$", unit):
        words = set(_expand(line.removeprefix("~").split()))
        found = found - words if line.startswith("~") else found | words
    return found


def _expand(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("@"):
            yield from _group(word)
        else:
            yield word


@cache
def _group(name: str) -> frozenset[str]:
    said = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.strip() for line in said.splitlines()[1:]]
    return frozenset(_expand(line for line in lines if line and not line.startswith("#")))


def _numbers(names: Iterable[str]) -> list[int]:
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text()))
    return sorted(int(known[name]) for name in names if name in known)


def program(numbers: Iterable[int]) -> bytes:
    """Classic BPF over struct seccomp_data: the processor, then the number of the call."""
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _X86_64), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for number in numbers:
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in [*lines, (_RETURN, 0, 0, _REFUSE)])


def _forbid(unit: str) -> None:
    code = program(_numbers(allowed(unit)))
    text = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(text))
    _checked(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if "\nMemoryDenyWriteExecute=yes\n" in unit:
        _libc.prctl(_SET_MDWE, 1, 0, 0, 0)  # Linux 6.3
    _checked(_libc.prctl(_SET_SECCOMP, _FILTER, ctypes.c_char_p(head), 0, 0))


def _become_nobody_special() -> None:
    for capability in range(64):
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)


def _checked(found: int) -> None:
    if found != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def _lay_out(home: Path, needed: Iterable[Path]) -> None:
    """Everything read-only; below /tmp and below what others may not enter, only what is needed."""
    kept = Path("/mnt")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", kept)
    hidden = dict[Path, list[Path]]()
    for path in {home, *needed}:
        if (closed := _closed(path)) is not None:
            hidden.setdefault(closed, []).append(path)
    hidden.setdefault(Path("/tmp"), [])  # noqa: S108 - PrivateTmp
    for number, path in enumerate(each for paths in hidden.values() for each in paths):
        (kept / str(number)).mkdir()
        _mount("--rbind", path, kept / str(number))
    number = 0
    for closed, paths in hidden.items():
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", closed)
        for path in paths:
            path.mkdir(parents=True, exist_ok=True)
            _mount("--rbind", kept / str(number), path)
            number += 1
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = line.split()[1]
        if place not in _STAYS and Path(place).exists():
            subprocess.run(["mount", "-o", "remount,bind,ro", place], check=False, stderr=-3)
    _mount("--bind", home / "state", home / "state")
    _mount("-o", "remount,bind,rw", home / "state")
    Path("/tmp").chmod(0o1777)  # noqa: S108


def _closed(path: Path) -> Path | None:
    """The highest folder above it that others may not enter, or /tmp."""
    for above in reversed(path.parents):
        if above == Path("/tmp") or not above.stat().st_mode & 0o001:  # noqa: S108
            return above
    return None


def main(unit: Path, home: Path, *command: str) -> None:
    needed = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2]}
    text = unit.read_text()
    allowed(text)  # asks systemd-analyze, while that can still be started
    _lay_out(home, needed)
    os.chdir(home / "state")
    os.environ.update(HOME=str(home / "state"), PYTHONDONTWRITEBYTECODE="1")
    os.umask(0o077)
    _become_nobody_special()
    _forbid(text)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
