"""A network of its own for the test process: loopback, and nothing else to listen on."""

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1


@contextmanager
def own_network() -> Iterator[None]:
    """Debian's Orthanc listens on every interface: leave it only one, where that is allowed.

    For this thread and the processes that it starts.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        alone = libc.unshare(_CLONE_NEWNET) == 0
        if alone:
            _bring_up_loopback()
        try:
            yield
        finally:
            if alone:
                libc.setns(before.fileno(), _CLONE_NEWNET)


def _bring_up_loopback() -> None:
    with socket.socket() as lo:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(lo, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(lo, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """Every process below this one, from /proc."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text(encoding="latin-1")
        except OSError:
            continue  # it ended while we looked
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(process.name))
    found = list(children.get(pid, []))
    for each in found:
        found += children.get(each, [])
    return found
