"""The fence around an attempt process: entered before any code of a model is there."""

import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dicom_ai_node
from dicom_ai_node import privileges
from dicom_ai_node.engines import landlock

# a core dump holds patients' images: 1 byte stops a file, and a program that takes dumps (core(5))
_NO_CORE = (1, 1)
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store")
_READABLE = (
    *("/proc", "/sys", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/alternatives", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"),
    *("/etc/hosts", "/etc/mime.types", "/etc/fonts", "/etc/OpenCL", "/etc/vulkan", "/etc/glvnd"),
    *("/etc/os-release", "/etc/machine-id", "/run/nvidia-persistenced"),
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "dri", "kfd", "nvidia-caps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """`readable` beyond the system: model store and images. `user` is for when root starts it."""

    mode: Literal["auto", "required"] = "auto"
    readable: tuple[Path, ...] = ()
    user: str | None = None
    uid: int = 0
    gid: int = 0


def enter(fence: Fence, *, inbox: Path, results: Path, scratch: Path) -> Mapping[str, str]:
    """Each part, and that it holds ("yes, …") or why not ("no: …"). One thread, no model yet."""
    alone = len(list(Path("/proc/self/task").iterdir())) == 1
    assert alone  # noqa: S101 - another thread would stay outside
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, _NO_CORE)
    is_root = os.geteuid() == 0
    said = {
        "network": _said("own namespace", privileges.leave_network),
        "privileges": _said("no new ones", privileges.no_new_privileges),
    }
    found = landlock.version()
    if not found:
        said["files"] = "no: this kernel has no Landlock"
        said["user"] = "no: without Landlock it could not read the images" if fence.user else ""
        return {part: text for part, text in said.items() if text}
    rules = [*_rules(fence), (inbox, landlock.READ)]
    rules += [(results, landlock.RESULTS), (scratch, landlock.SCRATCH)]
    said["files"] = _said(f"Landlock {found}", lambda: landlock.restrict(rules))
    if found >= 4 and said["network"].startswith("no"):
        said["network"] = "yes, TCP alone, by Landlock"
    if is_root and said["files"].startswith("yes"):
        how = f"{fence.user}" if fence.user else "root without capabilities; set work.user"
        said["user"] = _said(
            how, lambda: privileges.drop_root(fence.user, uid=fence.uid, gid=fence.gid)
        )
    elif fence.user and not is_root:
        said["user"] = "no: only root can start it as another user"
    return said


def _said(how: str, act: Callable[[], None]) -> str:
    try:
        act()
    except OSError as error:
        return f"no: {error.strerror}"
    return f"yes, {how}"


def _rules(fence: Fence) -> Iterator[tuple[Path, int]]:
    yield from ((Path(path), landlock.RUN) for path in _SYSTEM)
    yield from ((path, landlock.RUN) for path in _python())
    yield from ((Path(path), landlock.READ) for path in _READABLE)
    yield from ((path, landlock.RUN) for path in fence.readable)
    yield Path("/dev/shm"), landlock.SCRATCH  # noqa: S108 - semaphores and shared tensors
    dev = Path("/dev")
    devices = [dev / name for name in _DEVICES] + sorted(dev.glob("nvidia*"))
    yield from ((path, landlock.DEVICE) for path in devices)


def _python() -> Iterator[Path]:
    """Where modules lie; the working folder is none of them, whatever else lies in it."""
    yield Path(dicom_ai_node.__file__).parent
    yield from (Path(path) for path in sysconfig.get_paths().values())
    yield from (Path(prefix) / "lib" for prefix in (sys.prefix, sys.base_prefix))
    yield from (Path(prefix) / "bin" for prefix in (sys.prefix, sys.base_prefix))
    yield Path(sys.prefix) / "pyvenv.cfg"
    here = Path.cwd()
    yield from (Path(path) for path in sys.path if path and Path(path) != here)
