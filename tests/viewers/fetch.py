"""The viewers that results are opened in, kept between runs: `python -m tests.viewers.fetch`.

`make test` fetches them first, because tests beside a real PACS leave the network. npm's own
configuration says where from; hashes are pinned here and in the lock files of `packages/`.
"""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.tools import missing_tool

OHIF, OHIF_VERSION = "@ohif/app", "3.13.2"
OHIF_SHA512 = (
    "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
)
PACKAGES = Path(__file__).parent / "packages"
ADAPTERS = ("adapters-5", "adapters-4")
DWV = "dwv"


class NotFetched(Exception):
    """npm is missing, or cannot reach what it is to fetch."""


def cache_folder() -> Path:
    """Shared by all test processes, and by all runs in this checkout."""
    default = Path(__file__).parents[2] / "build" / "viewers"
    folder = Path(os.environ.get("DICOM_AI_NODE_TEST_VIEWERS", default))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ohif() -> Path:
    """OHIF as it is published, built: the folder to serve."""
    return _or_skipped(f"ohif-{OHIF_VERSION}", _pack_ohif) / "dist"


def installed(name: str) -> Path:
    """A folder of `packages/`, with its node_modules."""
    return _or_skipped(_folder_of(name), lambda folder: _install(name, folder))


def main() -> None:
    try:
        _kept(f"ohif-{OHIF_VERSION}", _pack_ohif)
        for name in (*ADAPTERS, DWV):
            _kept(_folder_of(name), lambda folder, name=name: _install(name, folder))
    except NotFetched as error:
        sys.stderr.write(f"{error} Tests in viewers are skipped.\n")
        sys.exit(os.environ.get("CI") == "true")


def _or_skipped(name: str, fetch: Callable[[Path], None]) -> Path:
    try:
        return _kept(name, fetch)
    except NotFetched:
        missing_tool(name)
        raise


def _kept(name: str, fetch: Callable[[Path], None]) -> Path:
    """Fetched where it is not there yet; what broke off is begun again."""
    target = cache_folder() / name
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            part = target.with_name(f"{name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            fetch(part)
            part.rename(target)
    return target


def _folder_of(name: str) -> str:
    """Another lock file is another folder."""
    lock = (PACKAGES / name / "package-lock.json").read_bytes()
    return f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"


def _install(name: str, folder: Path) -> None:
    shutil.copytree(PACKAGES / name, folder, dirs_exist_ok=True)
    _npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _pack_ohif(folder: Path) -> None:
    """Not installed: its package names dependencies of the build, some of them unpublished."""
    _npm(folder, "pack", f"{OHIF}@{OHIF_VERSION}")
    (archive,) = folder.glob("*.tgz")
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != OHIF_SHA512:
        raise NotFetched(f"{archive.name} is not the file that is pinned.")
    # Python's own tarfile has its safe filter only since 3.11.4
    subprocess.run(["tar", "-xzf", archive.name], cwd=folder, check=True)
    archive.unlink()
    for each in (folder / "package").iterdir():
        each.rename(folder / each.name)


def _npm(folder: Path, *arguments: str) -> None:
    if shutil.which("npm") is None:
        raise NotFetched("npm is not installed.")
    command = ["npm", *arguments, "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotFetched(f"npm {arguments[0]} fetched nothing: {done.stderr[-300:]}")


if __name__ == "__main__":
    main()
