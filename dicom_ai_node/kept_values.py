"""Values of prometheus_client in files of a role, which one process takes over from the last.

The files are those of the library's multiprocess mode, and its collector reads them. That mode
itself asks an environment variable, which attempts and programs would inherit, and names files by
process. And it maps files with holes: on a disk that is full, such a page is a SIGBUS, and the end
of a process that receives. Here the space is taken first, and what finds none is not kept.
"""

import fcntl
import json
import os
import struct
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

# bytes, by the kind of metric; about 200 are one value
SIZES: Mapping[str, int] = {
    "counter": 1 << 18,
    "histogram": 1 << 20,
    "gauge_sum": 1 << 16,
    "gauge_min": 1 << 16,
    "gauge_max": 1 << 16,
    "gauge_mostrecent": 1 << 16,
}
# what reading one that a power cut has left may raise
DAMAGED = (RuntimeError, ValueError, TypeError, struct.error)
_HEAD = 8  # bytes before the first value
_ENTRY = 40  # bytes of a value beside its key, at most


class ValueFile(MmapedDict):
    """The values of one kind and one role. Not safe for threads by itself."""

    def __init__(self, path: Path, size: int) -> None:
        """Raises OSError where there is no space for it; a damaged one begins anew."""
        _allocate(path, size)
        try:
            self._open(path)
        except DAMAGED:
            path.unlink()
            _allocate(path, size)
            self._open(path)

    def _open(self, path: Path) -> None:
        super().__init__(str(path))  # type: ignore[no-untyped-call]
        self._f.close()  # what is mapped stays, and it never grows
        if not _HEAD <= self._used <= self._capacity:
            raise ValueError("a length that cannot be")
        for key in self._positions:
            json.loads(key)

    def has_room(self, key: str) -> bool:
        return key in self._positions or (self._used + len(key.encode()) + _ENTRY <= self._capacity)


def _allocate(path: Path, size: int) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def take_name(folder: Path, role: str) -> tuple[str, int]:
    """`receive-1`, or the first number that no living process has; it is taken as long as the
    descriptor is open, which is until the process ends."""
    number = 0
    while True:
        number += 1
        path = folder / f"{role}-{number}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return f"{role}-{number}", descriptor


def value_class(files: Mapping[str, ValueFile]) -> type:
    """What `prometheus_client.values.ValueClass` is to be."""
    lock = threading.Lock()

    class KeptValue:
        """A number in a file; where that is full, in memory alone."""

        _multiprocess = True

        def __init__(
            self,
            typ: str,
            metric_name: str,
            name: str,
            labelnames: Sequence[str],
            labelvalues: Sequence[str],
            help_text: str,  # noqa: ARG002 - as the library calls it
            multiprocess_mode: str = "",
            **_: Any,
        ) -> None:
            kind = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
            # without its text: in those of another version it would be another value
            self._key = mmap_key(metric_name, name, list(labelnames), list(labelvalues), "")
            self._value = 0.0
            with lock:
                self._file = files[kind] if files[kind].has_room(self._key) else None
                if self._file is not None:
                    self._value, _ = self._file.read_value(self._key)  # type: ignore[no-untyped-call]

        def inc(self, amount: float) -> None:
            with lock:
                self._write(self._value + amount, 0.0)

        def set(self, value: float, timestamp: float | None = None) -> None:
            with lock:
                self._write(value, timestamp or 0.0)

        def _write(self, value: float, timestamp: float) -> None:
            self._value = value
            if self._file is not None:
                self._file.write_value(self._key, value, timestamp)  # type: ignore[no-untyped-call]

        def get(self) -> float:
            return self._value

        def set_exemplar(self, exemplar: object) -> None:
            """There are none in these files."""

        def get_exemplar(self) -> None:
            return None

    return KeptValue
