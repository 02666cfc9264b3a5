"""The machine: disks, file systems, the program's parts, who runs."""

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from dicom_ai_node.config.settings import Config
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn
from dicom_ai_node.spool import Spool, is_held

_DISTRIBUTION = "dicom-ai-node"
_MB = 1_000_000
_NETWORK = ("nfs", "cifs", "smb", "ceph", "glusterfs", "lustre", "afs", "fuse.sshfs")
_CLOCKS_S = 5.0
_ROLES = ("run", "receive", "work", "deliver", "web")


def examine(config: Config, spool: Spool, database: Path) -> Iterator[Finding]:
    folders = {"spool": spool.root, "database": database.parent.absolute()}
    for name, folder in folders.items():
        yield _space(config, name, folder)
        yield _file_system(name, folder)
    yield _file_clock(spool.root)
    yield _versions()
    yield _roles(spool)


def _space(config: Config, name: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free // _MB
    soft, hard = config.limits.space_soft_mb, config.limits.space_hard_mb
    check, text = f"space of the {name}", f"{free} MB are free where {folder} lies"
    step = "make room, or lower node.retain_days: what is delivered and old then goes (`purge`)"
    if free < hard:
        return fail(check, f"{text}: below {hard} MB, no instance is taken", step)
    if free < soft:
        return fail(check, f"{text}: below {soft} MB, no association is taken", step)
    if free < 2 * soft:
        return warn(check, f"{text}: below {soft} MB, no association would be taken", step)
    return ok(check, text)


def _file_system(name: str, folder: Path) -> Finding:
    check = f"file system of the {name}"
    kind = kind_of_file_system(folder, Path("/proc/self/mountinfo").read_text())
    if not kind.startswith(_NETWORK):
        return ok(check, kind)
    if name == "database":
        step = "set node.database to a file on a disk of this machine, and move the file there"
        return fail(check, f"{kind}, over the network, where SQLite's locks do not hold", step)
    step = "put node.spool on a disk of this machine, or be sure that the server syncs (no async)"
    return warn(check, f"{kind}, over the network: slow, and as durable as its server", step)


def kind_of_file_system(folder: Path, mounts: str) -> str:
    """Of the mount with the longest path above the folder (proc(5), mountinfo)."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _file_clock(folder: Path) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=folder / "incoming", suffix=".part") as file:
            ahead = os.fstat(file.fileno()).st_mtime - time.time()
    except OSError as error:
        step = "check the owner and the disk"
        return fail("spool", f"{folder} cannot be written ({error.strerror})", step)
    if abs(ahead) > _CLOCKS_S:
        text = f"the spool's file times are {ahead:+.0f} s off this machine's clock"
        return warn("file times", text, "set the clocks of both right")
    return ok("file times", "as this machine's clock")


def _versions() -> Finding:
    python = f"Python {platform.python_version()}"
    try:
        wanted = [Requirement(line) for line in requires(_DISTRIBUTION) or ()]
    except PackageNotFoundError:
        step = "install it with pip, so that the versions can be compared"
        return warn("versions", f"{python}; the program is not installed as a package", step)
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    found = {each.name: _version(each.name) for each in needed}
    wrong = [
        f"{each.name} {found[each.name] or 'is missing'} (wanted: {each.specifier})"
        for each in needed
        if not _suits(each, found)
    ]
    if wrong:
        step = "install again with the pins: `pip install -c constraints.txt .`"
        return fail("versions", f"{python}; {', '.join(wrong)}", step)
    named = ("pydicom", "pynetdicom", "highdicom", "torch", "python-gdcm", "pylibjpeg-openjpeg")
    return ok("versions", ", ".join([python, *(f"{name} {found.get(name)}" for name in named)]))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _suits(wanted: Requirement, found: Mapping[str, str | None]) -> bool:
    there = found[wanted.name]
    return there is not None and wanted.specifier.contains(there, prereleases=True)


def _roles(spool: Spool) -> Finding:
    held = [role for role in _ROLES if is_held(spool.locks / f"{role}.lock")]
    missing = [role for role in ("receive", "work", "deliver") if role not in held]
    if missing:
        step = "start the node: `dicom-ai-node run`"
        return warn("roles", f"these do not run on this spool: {', '.join(missing)}", step)
    return ok("roles", f"running: {', '.join(held)}")
