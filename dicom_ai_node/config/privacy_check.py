"""Whether what is said about privacy can be done here."""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dicom_ai_node.config.settings import Config
from dicom_ai_node.secret import fault_of

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel

Mistake = tuple[tuple[str | int, ...], str]  # key, and what to do

_EXTRA = 'the extra deid is not installed: pip install "dicom-ai-node[deid]"'


def mistakes_of_privacy(config: Config) -> Iterator[Mistake]:
    if config.privacy.deidentify and not has_extra():
        yield ("privacy", "deidentify"), _EXTRA
    path = config.privacy.key_file
    if path is not None and path.exists() and (fault := fault_of(path)):
        yield ("privacy", "key_file"), fault


def mistakes_of_outside(config: Config, models: Iterable["InstalledModel"]) -> Iterator[Mistake]:
    """With the models that routes use."""
    for each in models:
        package = each.package
        if package.kind == "command":
            if package.outside and not has_extra():
                yield ("privacy",), f"{each.label} runs outside, and {_EXTRA}"
        elif package.name in config.privacy.deidentify:
            why = (
                f"{package.name} is of kind {package.kind}, and runs in the node itself: only the "
                "files of models of kind command can be de-identified"
            )
            yield ("privacy", "deidentify"), why


def has_extra() -> bool:
    return find_spec("dicomanonymizer") is not None
