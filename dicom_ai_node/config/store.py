"""The model store, read: `NAME/VERSION/`, each described by its `model.yaml` and pinned by its
manifest.

Needs no model software, so the receiver knows names, versions and hashes without torch.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from dicom_ai_node.config.expected import Expected
from dicom_ai_node.config.installed import InstalledModel, model_label
from dicom_ai_node.config.kinds import AnyPackage
from dicom_ai_node.config.manifest import read_manifest
from dicom_ai_node.errors import ConfigError

MODEL_YAML = "model.yaml"
MAX_MODEL_YAML = 1 << 20  # bytes

_PACKAGE: TypeAdapter[AnyPackage] = TypeAdapter(AnyPackage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What lies in the store; `faults` says for each folder that cannot be used what is wrong."""

    models: Sequence[InstalledModel]  # by name, older versions first
    faults: Mapping[Path, str]

    def find(self, name: str, version: str | None = None) -> InstalledModel | None:
        """One version, or the newest."""
        return next(
            (
                each
                for each in reversed(self.models)
                if each.package.name == name and version in (None, each.package.version)
            ),
            None,
        )

    def versions(self, name: str) -> list[str]:
        """The older ones first."""
        return [each.package.version for each in self.models if each.package.name == name]

    def by_label(self) -> dict[str, InstalledModel]:
        """Each version by its label ("brain-mr 1.0.0"), and the newest by its name alone."""
        return {
            **{each.package.name: each for each in self.models},
            **{each.label: each for each in self.models},
        }


def read_store(store: Path, trusted: Collection[str] = ()) -> Store:
    """Every model; hidden folders are installations on their way."""
    models: list[InstalledModel] = []
    faults: dict[Path, str] = {}
    for folder in _folders(store):
        try:
            models.append(read_package(folder, trusted))
        except ConfigError as error:
            faults[folder] = str(error)
    models.sort(key=lambda each: (each.package.name, version_order(each.package.version)))
    return Store(models=models, faults=faults)


def installed(store: Path, trusted: Collection[str] = ()) -> Sequence[InstalledModel]:
    return read_store(store, trusted).models


def find(
    store: Path, name: str, version: str | None = None, *, trusted: Collection[str] = ()
) -> InstalledModel:
    """Raises ConfigError, naming the models that are there, when there is none of this name."""
    there = read_store(store, trusted)
    found = there.find(name, version)
    if found is not None:
        return found
    for folder, fault in there.faults.items():
        if name in (folder.parent.name, folder.name):
            raise ConfigError(fault)
    labels = ", ".join(each.label for each in there.models) or "none"
    wanted = name if version is None else model_label(name, version)
    raise ConfigError(
        f"the model {wanted} is not in {store} (there: {labels}): "
        f"run `dicom-ai-node models install {name}`"
    )


def read_package(folder: Path, trusted: Collection[str] = ()) -> InstalledModel:
    """Raises ConfigError naming the file and what is wrong in it."""
    files, sha256 = read_manifest(folder)
    content, package = _described(folder)
    for key, said, is_ in (
        ("name", package.name, folder.parent.name),
        ("version", package.version, folder.name),
    ):
        if said != is_:
            raise ConfigError(
                f"{folder / MODEL_YAML}: {key}: is {said}, and the folder {is_}: they must be equal"
            )
    if files.get(MODEL_YAML) != hashlib.sha256(content).hexdigest():
        raise ConfigError(
            f"{folder / MODEL_YAML} was changed after it was installed: change a copy of the "
            "package, give it another version, and install that"
        )
    return InstalledModel(
        folder=folder, package=package, sha256=sha256, files=files, trusted=sha256 in trusted
    )


def read_description(folder: Path) -> AnyPackage:
    """The package that a folder describes, installed or not; raises ConfigError."""
    return _described(folder)[1]


def parse_expected(content: bytes, file: Path) -> Expected:
    """A known answer, of YAML or JSON (which is YAML); raises ConfigError."""
    try:
        return Expected.model_validate(_parse(content, file))
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(error, file, tag=False))) from None


def version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts 1.10.0 after 1.9.0, and 1.0.0-rc1 before 1.0.0."""
    words = re.findall(r"\d+|[A-Za-z]+", version)
    ordered = [(1, int(word), "") if word.isdecimal() else (-1, 0, word) for word in words]
    return (*ordered, (0, 0, ""))


def _folders(store: Path) -> Iterator[Path]:
    """Of versions; a model of the days before versions had their folders is found, and refused."""
    if not store.is_dir():
        return
    for name in sorted(path for path in store.iterdir() if not path.name.startswith(".")):
        if _is_there(name / MODEL_YAML):
            yield name
        elif name.is_dir():
            yield from sorted(path.parent for path in name.glob(f"[!.]*/{MODEL_YAML}"))


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return False  # lost+found, where the store is a disk of its own


def _described(folder: Path) -> tuple[bytes, AnyPackage]:
    file = folder / MODEL_YAML
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > MAX_MODEL_YAML:
        raise ConfigError(f"{file} is larger than {MAX_MODEL_YAML} bytes: is it a model.yaml?")
    try:
        return content, _PACKAGE.validate_python(_parse(content, file))
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(error, file))) from None


def _parse(content: bytes, file: Path) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = "1.2"
    try:
        found = yaml.load(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text (byte {error.start})") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{file}:{line}: {error.problem or error}") from None
    except YAMLError as error:
        raise ConfigError(f"{file}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{file}: lists or keys are nested too deeply: is it YAML?") from None
    except ValueError as error:  # such as the 13th month
        raise ConfigError(
            f"{file}: a value cannot be read ({error}): quote it, or mend it"
        ) from None
    if _is_endless(found):
        raise ConfigError(f"{file}: it repeats itself by anchors (&, *): write out what you mean")
    return found


def _is_endless(value: Any) -> bool:
    """Whether it is larger than any file without anchors could be: they can hold themselves, or
    ten times what holds ten times something."""
    waiting, number = [value], 0
    while waiting and number <= MAX_MODEL_YAML:
        each = waiting.pop()
        number += 1
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list | tuple | set):
            waiting += each
    return number > MAX_MODEL_YAML


def _describe(error: ValidationError, file: Path, *, tag: bool = True) -> list[str]:
    """One line per mistake; `tag`: a location begins with the union's tag, which no file has."""
    problems = error.errors(include_url=False, include_input=False)
    lines = []
    for problem in problems:
        loc = problem["loc"]
        if problem["type"] == "too_short" and any(
            len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in problems
        ):
            continue  # a list whose items are wrong counts as empty, too
        loc = loc[1 if tag else 0 :]
        if problem["type"].startswith("union_tag"):
            loc = (*loc, problem["ctx"]["discriminator"].strip("'"))
        key = ".".join(map(str, loc))
        message = _in_words(problem)
        lines.append(f"{file}: {key}: {message}" if key else f"{file}: {message}")
    return lines


def _in_words(problem: ErrorDetails) -> str:
    """What is wrong with one key, for somebody who does not know Pydantic."""
    match problem["type"]:
        case "extra_forbidden":
            return "unknown key: check its spelling"
        case "missing" | "union_tag_not_found":
            return "is missing"
        case "union_tag_invalid":
            return f"write one of {problem['ctx']['expected_tags']}"
        case "string_type":
            return 'is no text: put it into quotes, as in "1.0"'
        case "tuple_type":
            return "is no list: write it in brackets, as in [CT]"
        case "model_attributes_type" | "model_type":
            return "expected keys, each with a colon and a value"
    return problem["msg"].removeprefix("Value error, ")
