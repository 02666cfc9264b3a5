"""A MONAI bundle's configuration, read as data: resolved as far as it is data, and never run."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import MonaiBundlePackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.bundle.grammar import NotPlain, evaluated, reference_of
from dicom_ai_node.models.pinned import read_pinned

METADATA = "configs/metadata.json"
TARGET = "_target_"
_MAX_BYTES = 1 << 20
_MAX_NODES = 20_000  # of what is resolved: references can repeat references
_OWN_KEYS = {"_requires_", "_mode_"}  # of MONAI's, which run something


class BundleConfig:
    """`raw` is the file as it was parsed; every other answer is resolved from it, on demand.

    Objects stay mappings with a `_target_`. NotPlain where an answer would take code.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self._nodes = 0
        self._asking: list[str] = []

    def section(self, *names: str) -> Any:
        """The first of these sections that is there, followed; None without any."""
        name = next((name for name in names if name in self.raw), None)
        return None if name is None else self.follow(self.raw[name])

    def follow(self, value: Any) -> Any:
        """What a reference or an expression comes to; what lies below it stays as it is."""
        return self._answer(value, self.follow)

    def resolved(self, value: Any) -> Any:
        """The same with everything below it."""
        found = self._answer(value, self.resolved)
        match found:
            case dict():
                if _OWN_KEYS & found.keys():
                    raise NotPlain(f"it uses {' and '.join(sorted(_OWN_KEYS & found.keys()))}")
                return {key: self.resolved(below) for key, below in found.items()}
            case list():
                return [self.resolved(below) for below in found]
        return found

    def _answer(self, value: Any, answer: Callable[[Any], Any]) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise ModelError("the bundle's configuration repeats itself too often to be read")
        if not isinstance(value, str) or not value.startswith(("@", "$", "%")):
            return value
        if reference := reference_of(value):
            return self._look_up(reference, answer)
        if value.startswith("$"):
            return evaluated(value[1:], lambda reference: self._look_up(reference, answer))
        raise NotPlain(f"it has a reference that is not understood: {value[:80]}")

    def _look_up(self, reference: str, answer: Callable[[Any], Any]) -> Any:
        if reference in self._asking:
            raise ModelError(f"the bundle's configuration refers to itself at @{reference}")
        self._asking.append(reference)
        found: Any = self.raw
        for key in reference.replace("#", "::").split("::"):
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ModelError(
                    f"the bundle's configuration refers to @{reference}, which is not there"
                ) from None
        answered = answer(found)
        self._asking.pop()
        return answered


def read_config(installed: InstalledModel, package: MonaiBundlePackage) -> BundleConfig:
    """The configuration and, as `_meta_`, the metadata beside it; ModelError for anything else."""
    raw = _parsed(installed, f"{package.bundle}/{package.configuration}")
    metadata = f"{package.bundle}/{METADATA}"
    if metadata in installed.files:
        raw = {"_meta_": _parsed(installed, metadata), **raw}
    return BundleConfig(raw)


def _parsed(installed: InstalledModel, file: str) -> dict[str, Any]:
    content = read_pinned(installed, file)
    if len(content) > _MAX_BYTES:
        raise ModelError(f"{file} of {installed.label} is larger than {_MAX_BYTES} bytes")
    try:
        # the safe loader: a tag that makes objects is an error
        found = json.loads(content) if file.endswith(".json") else _yaml().load(content.decode())
    except YAMLError as error:
        what = getattr(error, "problem", None) or type(error).__name__
        raise ModelError(f"{file} of {installed.label} is no plain YAML: {what}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} of {installed.label} cannot be read: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ModelError(f"{file} of {installed.label} is not the configuration of a bundle")
    return found


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)
