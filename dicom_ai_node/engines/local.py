"""Attempts on this machine: spawned processes, a slot each, in which models stay warm."""

import os
import pwd
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from dicom_ai_node import log as logs
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import WorkSettings
from dicom_ai_node.engines.attempt_main import Start
from dicom_ai_node.engines.costs import Limits
from dicom_ai_node.engines.engine import Room
from dicom_ai_node.engines.environment import cuda_devices, environment
from dicom_ai_node.engines.fence import Fence
from dicom_ai_node.engines.local_attempt import LocalAttempt
from dicom_ai_node.engines.slot import Slot
from dicom_ai_node.engines.watch import memory_limit_mb
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.request import Request

log = get_logger(__name__)

_FENCE_S = 60.0  # until the first process has said how it is fenced


class LocalEngine:
    """A crash, a leak or a hang ends one process, and the next attempt gets another one.

    `readable` are the folders of models and images; None: without a fence, for a test of something
    else. `home` is on the disk to which results will be renamed.
    """

    def __init__(
        self,
        settings: WorkSettings | None = None,
        *,
        threads: int = 0,
        readable: Sequence[Path] | None = None,
        home: Path | None = None,
        preload: Sequence[InstalledModel] = (),
    ) -> None:
        settings = settings or WorkSettings(threads=threads)
        devices = [each for each in _devices(settings) for _ in range(settings.slots)]
        self._home = home or Path(tempfile.gettempdir())
        start = Start(
            parent=os.getpid(),
            fence=None if readable is None else _fence(settings, readable),
            threads=settings.threads or _threads_each(len(devices)),
            memory_mb=settings.memory_mb or memory_limit_mb() / len(devices),
            preload=tuple(preload),
            log_settings=logs.settings(),
        )
        limits = Limits(
            memory_mb=start.memory_mb,
            scratch_mb=settings.scratch_mb,
            recycle_after=settings.recycle_after,
        )
        self._slots = [
            Slot(start=start, home=self._home, environment=environment(device), limits=limits)
            for device in devices
        ]

    def start(self) -> None:
        """Start the processes ahead of the first job, so that imports and weights are warm.

        Raises ConfigError where the fence is required and does not hold.
        """
        for slot in self._slots:
            slot.begin()
        fenced = self._slots[0]
        if fenced.start.fence is None:
            return
        deadline = time.monotonic() + _FENCE_S
        while fenced.fenced is None and fenced.child and time.monotonic() < deadline:
            fenced.step(0.1)
        said = fenced.fenced or {"all": "no: the process did not start"}
        holds = all(text.startswith("yes") for text in said.values())
        (log.info if holds else log.warning)("fence", **said)

    def room(self) -> Room:
        found = {slot.room() for slot in self._slots}
        return next((room for room in (Room.FREE, Room.BESIDE) if room in found), Room.NONE)

    def submit(self, request: Request, *, alone: bool = False) -> LocalAttempt:
        room = self.room()
        slot = next(each for each in self._slots if each.room() is room)
        return slot.submit(request, alone=alone)

    def wait(self, wait_s: float) -> None:
        children = [slot.child.fileno() for slot in self._slots if slot.child is not None]
        wait(children, wait_s)
        for slot in self._slots:
            slot.step(0)

    def pids(self) -> list[int]:
        """Of the processes that are there now."""
        return [slot.child.process.pid for slot in self._slots if slot.child is not None]

    def close(self) -> None:
        for slot in self._slots:
            slot.close()


def _devices(settings: WorkSettings) -> Sequence[str]:
    if settings.devices == "auto":
        return cuda_devices() or ["cpu"]
    return settings.devices


def _threads_each(processes: int) -> int:
    """0: torch takes every core."""
    cores = len(os.sched_getaffinity(0))
    return 0 if processes == 1 else max(1, cores // processes)


def _fence(settings: WorkSettings, readable: Sequence[Path]) -> Fence:
    paths = tuple(path.absolute() for path in readable)
    if settings.user is None:
        return Fence(mode=settings.fence, readable=paths)
    entry = require_user(settings.user)
    return Fence(
        mode=settings.fence,
        readable=paths,
        user=settings.user,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
    )


def require_user(name: str) -> pwd.struct_passwd:
    """Whom the processes of models run as; raises ConfigError."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(
            f"work.user: there is no user {name} here: make one, such as by "
            f"`useradd --system {name}`"
        ) from None
