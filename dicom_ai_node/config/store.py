"""The model store, read: one folder per model, described by its `model.yaml`.

Needs no model software, so the receiver knows names, versions and hashes without torch.
"""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from dicom_ai_node.config.package import AnyPackage, InstalledModel, package_sha256
from dicom_ai_node.errors import ConfigError

MODEL_YAML = "model.yaml"
MAX_MODEL_YAML = 1 << 20  # bytes

_PACKAGE: TypeAdapter[AnyPackage] = TypeAdapter(AnyPackage)


def installed(store: Path) -> list[InstalledModel]:
    """Every model of the store, by name; hidden folders are installations on their way."""
    if not store.is_dir():
        return []
    folders = sorted(path.parent for path in store.glob(f"*/{MODEL_YAML}"))
    return [read_package(folder) for folder in folders if not folder.name.startswith(".")]


def find(store: Path, name: str) -> InstalledModel:
    """Raises ConfigError, naming the models that are there, when there is none of this name."""
    names = [model.package.name for model in installed(store)]
    if name not in names:
        raise ConfigError(
            f"the model {name} is not in {store} (there: {', '.join(names) or 'none'}): "
            f"run `dicom-ai-node models install {name}`"
        )
    return read_package(store / name)


def read_package(folder: Path) -> InstalledModel:
    """Raises ConfigError naming the file and what is wrong in it."""
    file = folder / MODEL_YAML
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > MAX_MODEL_YAML:
        raise ConfigError(f"{file} is larger than {MAX_MODEL_YAML} bytes: is it a model.yaml?")
    try:
        package = _PACKAGE.validate_python(_parse(content, file))
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(error, file))) from None
    if package.name != folder.name:
        raise ConfigError(
            f"{file}: name: is {package.name}, and the folder {folder.name}: they must be equal"
        )
    return InstalledModel(folder=folder, package=package, sha256=package_sha256(content))


def _parse(content: bytes, file: Path) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = "1.2"
    try:
        return yaml.load(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text (byte {error.start})") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{file}:{line}: {error.problem or error}") from None
    except YAMLError as error:
        raise ConfigError(f"{file}: {error}") from None


def _describe(error: ValidationError, file: Path) -> list[str]:
    """One line per mistake; the first part of a location is the union's tag, which no file has."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        loc = problem["loc"][1:] if problem["loc"] else ()
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key: check its spelling"
        elif problem["type"] == "missing":
            message = "is missing"
        key = ".".join(map(str, loc))
        lines.append(f"{file}: {key}: {message}" if key else f"{file}: {message}")
    return lines
