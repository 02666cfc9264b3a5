"""Put a model into the store, pinned; for one of the catalogue, this alone needs a network."""

import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import (
    AnyPackage,
    CommandPackage,
    MonaiBundlePackage,
    TorchPackage,
)
from dicom_ai_node.config.manifest import hashes_of
from dicom_ai_node.config.package import Weights
from dicom_ai_node.config.store import MODEL_YAML, read_description, read_package
from dicom_ai_node.errors import ConfigError, ModelChanged
from dicom_ai_node.models.installation.archive import is_archive, unpack
from dicom_ai_node.models.installation.pickles import is_torchscript, refuse_pickles
from dicom_ai_node.models.installation.placing import building_site, copy, pin, place, write
from dicom_ai_node.models.installation.published import Progress, weights_of
from dicom_ai_node.models.pinned import read_pinned

CATALOGUE = Path(__file__).parents[1] / "catalogue"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which a package is taken in. `check` sees it pinned and whole, and raises to refuse it."""

    trusted: Collection[str] = ()  # hashes of packages whose own code may run
    replace: bool = False  # another content of the same version
    check: Callable[[InstalledModel], None] | None = None


_AS_IT_IS = Terms()


def catalogue() -> list[str]:
    """Names of the models that `install()` knows."""
    return sorted(file.parent.name for file in CATALOGUE.glob(f"*/{MODEL_YAML}"))


def install_source(
    source: str, store: Path, progress: Progress, terms: Terms = _AS_IT_IS
) -> InstalledModel:
    """A folder, an archive, or a name of the catalogue; `./NAME` is the folder of that name."""
    if source in catalogue():
        return install(source, store, progress, terms)
    path = Path(source)
    if path.is_dir():
        return install_folder(path, store, terms)
    if is_archive(path):
        with tempfile.TemporaryDirectory() as scratch:
            progress(f"Unpacking {path.name}.")
            return install_folder(unpack(path, Path(scratch)), store, terms)
    if path.is_file():
        raise ConfigError(f"{source} is neither a folder nor a .zip or .tar: give one of them")
    raise _unknown(source)


def install(name: str, store: Path, progress: Progress, terms: Terms = _AS_IT_IS) -> InstalledModel:
    """Install one of the catalogue whole or not at all; what is there and unharmed stays as it is.

    Another content of the same version is replaced: it came with another version of this program.
    """
    if name not in catalogue():
        raise _unknown(name)
    present = _present(name, store, terms.trusted)
    if present is not None:
        return present
    package = read_description(CATALOGUE / name)
    with building_site(store) as site:
        folder = site / name / package.version
        for file in hashes_of(CATALOGUE / name):
            copy(CATALOGUE / name / file, folder / file)
        if (published := weights_of(name, progress)) is not None:
            for file, content in zip((WEIGHTS, "LICENSE"), published, strict=True):
                write(folder / file, content)
        return _take_in(folder, store, site, replace=True, terms=terms)


def install_folder(source: Path, store: Path, terms: Terms = _AS_IT_IS) -> InstalledModel:
    """Copy a package into the store, whole or not at all; the same one again changes nothing.

    ConfigError where this version is there with another content, unless `terms.replace`.
    """
    package = read_description(source)
    with building_site(store) as site:
        folder = site / package.name / package.version
        for file in hashes_of(source):
            copy(source / file, folder / file)
        return _take_in(folder, store, site, replace=terms.replace, terms=terms)


def verify(model: InstalledModel) -> None:
    """Raises ModelChanged when a file in the folder is not the one that was installed."""
    for file in model.files:
        read_pinned(model, file)
    added = set(hashes_of(model.folder)) - set(model.files)
    if added:
        raise ModelChanged(
            f"{model.label} has files that were not installed: {', '.join(sorted(added))}"
        )


def _take_in(
    folder: Path, store: Path, site: Path, *, replace: bool, terms: Terms
) -> InstalledModel:
    pin(folder)
    model = read_package(folder, terms.trusted)
    _check_files(model)
    target = store / model.package.name / model.package.version
    there = _readable(target, terms.trusted)
    if there is not None and there.sha256 == model.sha256 and _is_unharmed(there):
        return there
    if there is not None and there.sha256 != model.sha256 and not replace:
        raise ConfigError(
            f"{model.label} is in the store with other files: raise the version in {MODEL_YAML}, "
            "or replace it (--replace)"
        )
    if terms.check is not None:
        terms.check(model)
        verify(model)  # code of its own may just have run, and nothing kept it from writing there
    place(folder, target, site)
    return read_package(target, terms.trusted)


def _check_files(model: InstalledModel) -> None:
    """Every file that model.yaml names is there, with its hash where that is written; no pickle."""
    is_program = isinstance(model.package, CommandPackage)
    refuse_pickles(model.folder, model.files, only_tensors=not is_program)
    for file in _needed_files(model.package):
        if file not in model.files:
            raise ConfigError(f"{MODEL_YAML} names {file}, which is not in the package")
    for weights in _weights_of(model.package):
        found = model.files[weights.file]
        if weights.sha256 not in (None, found):
            raise ConfigError(
                f"{weights.file} has the SHA-256 {found}, and {MODEL_YAML} says {weights.sha256}"
            )
        if is_torchscript(model.folder / weights.file):
            raise ConfigError(
                f"{weights.file} is TorchScript, which is code: turn it into safetensors or .pt2 "
                f"with `dicom-ai-node models convert {weights.file} --out FILE`"
            )
    case = model.package.known_answer
    if case is not None and not any(file.startswith(f"{case}/") for file in model.files):
        raise ConfigError(
            f"{MODEL_YAML} names the known answer {case}, and there is no such folder"
        )


def _weights_of(package: AnyPackage) -> list[Weights]:
    values = (getattr(package, name) for name in type(package).model_fields)
    return [value for value in values if isinstance(value, Weights)]


def _needed_files(package: AnyPackage) -> list[str]:
    files = [weights.file for weights in _weights_of(package)]
    if isinstance(package, MonaiBundlePackage):
        files += [f"{package.bundle}/{f}" for f in (package.configuration, package.weights)]
    if isinstance(package, TorchPackage | MonaiBundlePackage) and package.network is not None:
        files += [] if package.network.file is None else [package.network.file]
    return files


def _present(name: str, store: Path, trusted: Collection[str]) -> InstalledModel | None:
    """The catalogue's version, when it is there and unharmed."""
    there = _readable(store / name / read_description(CATALOGUE / name).version, trusted)
    if there is None or not _is_unharmed(there):
        return None
    described = hashes_of(CATALOGUE / name)
    same = all(there.files.get(file) == sha256 for file, sha256 in described.items())
    return there if same else None


def _readable(folder: Path, trusted: Collection[str]) -> InstalledModel | None:
    try:
        return read_package(folder, trusted)
    except ConfigError:
        return None


def _is_unharmed(model: InstalledModel) -> bool:
    try:
        verify(model)
    except (ConfigError, ModelChanged):
        return False
    return True


def _unknown(source: str) -> ConfigError:
    known = ", ".join(catalogue())
    return ConfigError(
        f"{source} is no folder, no archive, and there is no model {source} in the catalogue "
        f"(there: {known})"
    )
