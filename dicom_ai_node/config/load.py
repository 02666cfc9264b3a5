"""`load(directory)`: every `*.yaml` in name order, then the environment, then validation."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dicom_ai_node.config.agreement import disagreements
from dicom_ai_node.config.environment import override
from dicom_ai_node.config.mistakes import describe
from dicom_ai_node.config.node import NodeSettings
from dicom_ai_node.config.reading import read_yaml
from dicom_ai_node.config.routed_models import missing_models
from dicom_ai_node.config.secret_file import CHECK_FILES
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.tree import Key, Tree, placed
from dicom_ai_node.errors import ConfigError

# of a file that is no YAML: an indented `spool: place`, in quotes or not, and a comment behind it
_SPOOL = re.compile(r"""^[ \t]+spool:[ \t]+(["']?)(.+?)\1[ \t]*(?:#.*)?$""", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration, and where each of its keys was written."""

    config: Config
    tree: Tree

    def origin(self, key: Key) -> str:
        """The file and line, or the variable, that says a value; or that it is a default."""
        here: Any = self.tree.values
        for part in key:
            in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
            if not in_list and not (isinstance(here, dict) and part in here):
                return "default"
            here = here[part]
        return self.tree.nearest(key)


def load(
    directory: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    need_models: bool = False,
    need_secrets: bool = False,
) -> Config:
    """Raises ConfigError with one line per mistake: file, line, key and what to do.

    With `need_models`, a route to a model that is not in the store is a mistake too; with
    `need_secrets`, a file that cannot be used as a secret. What only looks at a node, or stops it,
    needs neither.
    """
    return load_with_places(
        directory, environ, need_models=need_models, need_secrets=need_secrets
    ).config


def load_with_places(
    directory: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    need_models: bool = False,
    need_secrets: bool = False,
) -> Loaded:
    """As `load()`."""
    tree, wrong = _merged(directory, environ)
    try:
        context = CHECK_FILES if need_secrets else None
        config = Config.model_validate(tree.values, context=context)
    except ValidationError as error:
        wrong += describe(error, tree, is_whole=not wrong)
    else:
        if not wrong:
            wrong += disagreements(config, tree)
            wrong += missing_models(config, tree) if need_models else []
    if wrong:
        raise ConfigError("\n".join(wrong))
    return Loaded(config=config, tree=tree)


def spool_of(directory: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where files with mistakes have the spool, as far as they can be read. Raises ConfigError."""
    tree, _ = _merged(directory, environ)
    node = tree.values.get("node")
    named = node.get("spool") if isinstance(node, dict) else None
    if isinstance(named, str):
        return Path(named)
    for file in sorted(directory.glob("*.yaml")):
        if found := _SPOOL.search(file.read_text(errors="replace")):
            return Path(found[2])
    default: Path = NodeSettings.model_fields["spool"].default
    return default


def located(error: ConfigError, directory: Path) -> ConfigError:
    """With the place of each key that its lines begin with, as far as the files can be read."""
    try:
        tree, _ = _merged(directory, os.environ)
    except ConfigError:
        return error
    return ConfigError(placed(str(error), tree))


def _merged(directory: Path, environ: Mapping[str, str]) -> tuple[Tree, list[str]]:
    """All that can be read, and what is wrong with the rest."""
    if not directory.is_dir():
        raise ConfigError(
            f"{directory} is not a folder: give the folder of your *.yaml files with --config, or "
            "make one with `dicom-ai-node setup`"
        )
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise ConfigError(
            f"{directory} holds no *.yaml file: start from config/node.yaml, or with "
            "`dicom-ai-node setup`"
        )
    tree, wrong = Tree(), list[str]()
    for file in files:
        try:
            tree.merge(read_yaml(file), file)
        except ConfigError as error:
            wrong.append(str(error))
    wrong += override(tree, environ)
    return tree, wrong
