"""What a process may give up for good: its network, its capabilities, its user."""

import ctypes
import os
import signal
import struct
from contextlib import suppress
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SET_PDEATHSIG, _SET_KEEPCAPS, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 1, 8, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_DAC_READ_SEARCH = 2
_MAX_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def leave_network() -> None:
    """A network namespace with no interface that is up; OSError where that is not allowed.

    Call it while there is one thread. Who is not root needs a user namespace for it.
    """
    if _libc.unshare(_CLONE_NEWNET) == 0:
        return
    uid, gid = os.getuid(), os.getgid()
    _checked(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - a kernel's file
            file.write(text)
    _keep(0)  # it was given every one there is, over this namespace


def no_new_privileges() -> None:
    """No program that it starts has more rights than it has."""
    _checked(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def die_with_parent(parent: int) -> None:
    """SIGKILL when the thread that started this process is gone; a change of user undoes it."""
    _checked(_libc.prctl(_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)


def go_first() -> None:
    """Where the machine has no memory left, this process goes, and not who started it (E8)."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def drop_root(user: str | None, *, uid: int, gid: int) -> None:
    """Root keeps one capability, to read what it could read, and may become a user.

    Only together with Landlock, which says what there is to be read.
    """
    for capability in range(_MAX_CAPABILITY + 1):
        if capability != _DAC_READ_SEARCH:
            _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    if user is not None:
        _checked(_libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0))
        os.initgroups(user, gid)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    _keep(1 << _DAC_READ_SEARCH)


def _keep(kept: int) -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)))


def _checked(found: int) -> None:
    if found != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
