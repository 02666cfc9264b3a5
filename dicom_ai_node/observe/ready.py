"""Is the node ready? It is when studies can come, and will be worked on and delivered."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from dicom_ai_node.draining import is_draining
from dicom_ai_node.observe.kept import Heartbeats
from dicom_ai_node.observe.observed import Observed

ROLES = ("receive", "work", "deliver")  # each with loops that go round every second
_OF_A_PEER = "peer "  # loops that may wait for another machine
MB = 1_000_000


def not_ready(
    observed: Observed, beats: Heartbeats, *, database_answers: bool, now: float
) -> Mapping[str, str]:
    """By the part that is looked at, what is wrong with it; "" where it is well."""
    silent_s = observed.config.metrics.silent_s
    return {
        "database": "" if database_answers else "the database does not answer",
        "disk": _disk(observed),
        **{role: _role(role, beats, now=now, silent_s=silent_s) for role in ROLES},
        "drained": "drained by an operator: nothing new is taken"
        if is_draining(observed.spool)
        else "",
    }


def _role(role: str, beats: Heartbeats, *, now: float, silent_s: float) -> str:
    loops = {
        loop: at
        for (of, loop), at in beats.items()
        if of == role and not loop.startswith(_OF_A_PEER)
    }
    if not loops:
        return f"{role} has not started"
    loop, last = min(loops.items(), key=lambda each: each[1])
    # a time to come is of a clock that was set back since
    if abs(now - last) <= silent_s:
        return ""
    return f"{role} is silent: its loop {loop} has not gone round for {abs(now - last):.0f} s"


def _disk(observed: Observed) -> str:
    soft_mb = observed.config.limits.space_soft_mb
    for name, folder in disks(observed).items():
        free_mb = free(folder) / MB
        if free_mb < soft_mb:
            return (
                f"{free_mb:.0f} MB are free on the disk of the {name}, below "
                f"limits.space_soft_mb ({soft_mb}): no new association is accepted"
            )
    return ""


def disks(observed: Observed) -> Mapping[str, Path]:
    return {"spool": observed.spool.root, "database": observed.database.path.parent}


def free(folder: Path) -> int:
    """Bytes for us; 0 of a disk that does not even say so."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
