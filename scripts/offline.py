"""One archive to install from, without network: wheels, models, configuration, units, checksums.

    python -m scripts.offline --models-store models --models brain-mr lung-ct [--torch REQUIREMENT]
                              [--torch-index-url ADDRESS] [--out dist]

For this machine's Python and processor. Each wheel but torch's is one that requirements.lock names.
The same input gives the same bytes; SOURCE_DATE_EPOCH, where it is set, is the time in them.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.utils import parse_wheel_filename

from dicom_ai_node import __version__
from scripts.lock import BUILD_LOCK, CONSTRAINTS, HOME, LOCK

SUMS = "SHA256SUMS"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1767225600"))


def fetch_wheels(folder: Path, *, torch: str, torch_index_url: str | None) -> None:
    """Those of the lock, by their hashes; torch, in the build that was asked for, with what it
    brings along; and the node's own."""
    _run(
        *(*_PIP, "download", "--quiet", "--dest", str(folder), "--only-binary", ":all:"),
        *("--require-hashes", "--no-deps", "-r", str(LOCK)),
    )
    index = ("--index-url", torch_index_url) if torch_index_url else ()
    _run(
        *(*_PIP, "download", "--quiet", "--dest", str(folder), "--only-binary", ":all:"),
        *(*index, "--find-links", str(folder), "-c", str(CONSTRAINTS), torch),
    )
    node_wheel(folder)


def node_wheel(folder: Path) -> Path:
    """The same bytes for the same sources."""
    with tempfile.TemporaryDirectory() as tools:
        _run(
            *(*_PIP, "install", "--quiet", "--target", tools, "--require-hashes", "--no-deps"),
            *("-r", str(BUILD_LOCK)),
        )
        subprocess.run(
            [
                *(*_PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
                *("--wheel-dir", str(folder), str(HOME)),
            ],
            check=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH), "PYTHONPATH": tools},
        )
    (made,) = folder.glob("dicom_ai_node-*.whl")
    return made


def lay_out(folder: Path, *, wheels: Path, models: Sequence[Path], bill: Path) -> None:
    """Everything of the archive; `models` are folders NAME/VERSION of a model store."""
    shutil.copytree(wheels, folder / "wheels")
    for model in models:
        shutil.copytree(model, folder / "models" / model.parent.name / model.name)
    shutil.copytree(HOME / "config", folder / "config")
    shutil.copytree(HOME / "deploy" / "systemd", folder / "systemd")
    shutil.copy(HOME / "deploy" / "offline" / "install.sh", folder)
    shutil.copy(HOME / "LICENSE", folder)
    shutil.copy(bill, folder / "sbom.cdx.json")
    (folder / "PYTHON").write_text(f"{PYTHON}\n")
    (folder / "wheels.lock").write_text("".join(_pinned(folder / "wheels")))
    (folder / SUMS).write_text("".join(_sums(folder)))


def _pinned(wheels: Path) -> Iterator[str]:
    for wheel in sorted(wheels.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(wheel.name)
        yield f"{name}=={version} --hash=sha256:{_sha256(wheel)}\n"


def _sums(folder: Path) -> Iterator[str]:
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        yield f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(folder: Path, archive: Path) -> None:
    """Without what differs from machine to machine: order, times, owners, rights."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = _EPOCH, 0, 0, "", ""
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith(".sh") else 0o644
        return entry

    # wheels and weights are compressed already
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            name = f"{archive.stem}/{path.relative_to(folder).as_posix()}"
            tar.add(path, arcname=name, recursive=False, filter=plain)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _models(store: Path, names: Sequence[str]) -> list[Path]:
    from dicom_ai_node.config.store import find

    return [find(store, name).folder for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=[], help="names; the newest of each")
    parser.add_argument("--models-store", type=Path, default=Path("models"))
    parser.add_argument("--torch", default="torch==2.13.0")
    parser.add_argument("--torch-index-url")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    given = parser.parse_args()
    models = _models(given.models_store, given.models)
    given.out.mkdir(parents=True, exist_ok=True)
    name = f"dicom-ai-node-{__version__}-py{PYTHON}-{platform.machine()}.tar"
    with tempfile.TemporaryDirectory(dir=given.out) as scratch:
        wheels, folder, bill = (Path(scratch) / each for each in ("wheels", "all", "sbom.json"))
        wheels.mkdir()
        fetch_wheels(wheels, torch=given.torch, torch_index_url=given.torch_index_url)
        store = Path(scratch) / "store"
        for model in models:
            shutil.copytree(model, store / model.parent.name / model.name)
        more = ("--models", str(store)) if models else ()
        _run(
            *(sys.executable, "-m", "scripts.sbom", "--out", str(bill)),
            *("--wheels", str(wheels), *more),
        )
        lay_out(folder, wheels=wheels, models=models, bill=bill)
        pack(folder, given.out / name)
    sys.stdout.write(f"{_sha256(given.out / name)}  {given.out / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
