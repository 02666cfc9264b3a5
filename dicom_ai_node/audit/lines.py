"""The file behind the trail: lines that are chained by their hashes, a file for each day (UTC).

    <number> <SHA-256> <message>

The hash is of the hash before it, a space, the number, a space, and the message; before the first
line it is 64 zeros. `head` says what the last line was, so that lines missing at the end are
noticed too. Its lock lets one process write at a time.
"""

import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

FIRST_DIGEST = "0" * 64
HEAD = "head"
_DAY = "????-??-??.log"
_LINE = re.compile(rb"([0-9]+) ([0-9a-f]{64}) ([^\n]*)")
_CREATE = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    number: int
    digest: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last line, the file that has it, how long that is, and the first line that is kept."""

    number: int = 0
    digest: str = FIRST_DIGEST
    file: str = ""
    size: int = 0
    kept_from: int = 1

    def encode(self) -> bytes:
        """Of one length, so that a shorter one leaves nothing of a longer one behind."""
        named = self.file or "-"
        return (
            f"{self.number:015d} {self.digest} {named:>14} {self.size:015d} {self.kept_from:015d}\n"
        ).encode()


def parse_head(content: bytes) -> Head | None:
    """None for an empty file, and for what somebody has spoilt."""
    try:
        number, digest, file, size, kept_from = content.decode("ascii").split()
        return Head(
            number=int(number),
            digest=digest,
            file="" if file == "-" else file,
            size=int(size),
            kept_from=int(kept_from),
        )
    except ValueError:
        return None


def parse_line(content: bytes) -> Line | None:
    """One line without its end; None for what is none."""
    found = _LINE.fullmatch(content)
    if found is None:
        return None
    return Line(number=int(found[1]), digest=found[2].decode(), body=found[3])


def digest_of(before: str, number: int, body: bytes) -> str:
    return hashlib.sha256(f"{before} {number} ".encode() + body).hexdigest()


def day_files(folder: Path) -> list[Path]:
    """The oldest first."""
    return sorted(folder.glob(_DAY))


@contextmanager
def locked(folder: Path, how: int) -> Iterator[int]:
    """The descriptor of `head`, below a lock that a killed process lets go of."""
    path = folder / HEAD
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | _CREATE, 0o600)
    try:
        if is_new:
            _give_to_owner(descriptor, folder)
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


def read_head(folder: Path) -> Head | None:
    """As it stands between two lines; None where there is none, or it is spoilt."""
    if not (folder / HEAD).exists():
        return None
    with locked(folder, fcntl.LOCK_SH) as descriptor:
        return parse_head(os.pread(descriptor, 512, 0))


def append(
    folder: Path,
    body: bytes,
    *,
    day: str,
    sync: bool,
    head_lost: Callable[[], bytes] | None = None,
) -> Line:
    """One more line, whole or not at all; with `sync`, on disk when this returns. Raises OSError.

    `day` is YYYY-MM-DD; a clock that was put back goes on with the latest file. `head_lost` is what
    is written before it where there are lines, and no head that knows the last one.
    """
    make_folder(folder)
    with locked(folder, fcntl.LOCK_EX) as descriptor:
        bodies = [body]
        head = parse_head(os.pread(descriptor, 512, 0))
        if head is None:
            bodies = [head_lost(), body] if head_lost and day_files(folder) else bodies
            head = _begun(folder, descriptor, is_lost=len(bodies) > 1)
        name = max(head.file, f"{day}.log")
        head = _all_caught_up(folder, head, name)
        file, is_new = _open(folder, name)
        try:
            for each in bodies:
                line, head = _next(file, replace(head, file=name), each)
                os.pwrite(descriptor, head.encode(), 0)
        except BaseException:
            os.close(file)
            raise
    try:  # after the lock: what others write meanwhile is synced along with it
        if sync:
            os.fdatasync(file)
            if is_new:
                _sync(folder)
    finally:
        os.close(file)
    return line


def _begun(folder: Path, descriptor: int, *, is_lost: bool) -> Head:
    """The head of a new trail is on disk before its first line: one that is not there later was
    taken away. That of an old one is written with the message that says so."""
    head = _found(folder)
    if not is_lost:
        os.pwrite(descriptor, head.encode(), 0)
        os.fdatasync(descriptor)
        _sync(folder)
    return head


def _next(file: int, head: Head, body: bytes) -> tuple[Line, Head]:
    number = head.number + 1
    digest = digest_of(head.digest, number, body)
    line = Line(number=number, digest=digest, body=body)
    return line, replace(head, number=number, digest=digest, size=_write(file, line))


def make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _give_to_owner(descriptor, folder.parent)
    finally:
        os.close(descriptor)
    _sync(folder.parent)


def _give_to_owner(descriptor: int, of: Path) -> None:
    """What root makes with a verb, the account of the node must be able to write."""
    if os.geteuid() == 0:
        owner = of.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _open(folder: Path, name: str) -> tuple[int, bool]:
    path = folder / name
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | _CREATE, 0o600)
    if is_new:
        _give_to_owner(descriptor, folder)
    return descriptor, is_new


def _write(file: int, line: Line) -> int:
    """The size afterwards; half a line is taken back."""
    before = os.fstat(file).st_size
    content = b"%d %s %s\n" % (line.number, line.digest.encode(), line.body)
    try:
        written = os.write(file, content)
    except OSError:
        os.ftruncate(file, before)
        raise
    if written != len(content):
        os.ftruncate(file, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return before + len(content)


def _all_caught_up(folder: Path, head: Head, name: str) -> Head:
    """From the file that the head knows to the one that is written now: the line that it does not
    know may be the last of one day, or the first of another."""
    paths = [folder / name] if name == head.file else day_files(folder)
    for path in paths:
        if not path.exists() or not head.file <= path.name <= name:
            continue
        file, _ = _open(folder, path.name)
        try:
            size = head.size if path.name == head.file else 0
            head = _caught_up(file, replace(head, file=path.name, size=size))
        finally:
            os.close(file)
    return head


def _caught_up(file: int, head: Head) -> Head:
    """A process that was killed between a line and its head, or within a line, has left bytes that
    the head does not know: whole lines count, half a line was never promised to anybody."""
    size = os.fstat(file).st_size
    if size < head.size:  # lines are gone, and the next number shows it
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
        return head
    rest = os.pread(file, size - head.size, head.size)
    whole, _, half = rest.rpartition(b"\n")
    for content in whole.split(b"\n") if whole else ():
        line = parse_line(content)
        if line is not None:
            head = replace(head, number=line.number, digest=line.digest)
    if half:
        os.ftruncate(file, size - len(half))
    return replace(head, size=size - len(half))


def _found(folder: Path) -> Head:
    """Of a folder whose head is gone: the last line that is there."""
    head = Head()
    for path in day_files(folder):
        content = path.read_bytes()
        lines = [line for each in content.split(b"\n") if (line := parse_line(each))]
        if lines:
            head = replace(
                head,
                number=lines[-1].number,
                digest=lines[-1].digest,
                file=path.name,
                size=content.rfind(b"\n") + 1,
                kept_from=head.kept_from if head.number else lines[0].number,
            )
    return head


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
