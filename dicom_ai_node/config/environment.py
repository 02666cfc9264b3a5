"""Keys from the environment: `DICOM_AI_NODE__NODE__PORT=104` replaces `node.port`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dicom_ai_node.config.reading import parse
from dicom_ai_node.config.tree import Key, Tree, plain
from dicom_ai_node.errors import ConfigError

PREFIX = "DICOM_AI_NODE__"
_NUMBER = re.compile("[0-9]{1,6}")
_NAMED = ("peers", "inputs")  # what stands below has names, which may be numbers


def override(tree: Tree, environ: Mapping[str, str]) -> Iterator[str]:
    """Values are read as YAML; an item of a list is named by its number, and the number after the
    last adds one. Yields the mistakes."""
    for name in sorted((each for each in environ if each.startswith(PREFIX)), key=_in_order):
        try:
            _set(tree, name.removeprefix(PREFIX).split("__"), environ[name], f"environment {name}")
        except ConfigError as error:
            yield str(error)


def _in_order(name: str) -> list[tuple[int, str]]:
    """ROUTES before ROUTES__0__MODEL, and ROUTES__2 before ROUTES__10."""
    return [(int(each), "") if _NUMBER.fullmatch(each) else (-1, each) for each in name.split("__")]


def _set(tree: Tree, parts: list[str], text: str, place: str) -> None:
    if not all(parts):
        raise ConfigError(f"{place}: names no key: write {PREFIX}NODE__PORT for node.port")
    here: Any = tree.values
    path: Key = ()
    for index, part in enumerate(parts):
        if not isinstance(here, dict | list):
            above = ".".join(map(str, path))
            raise ConfigError(f"{place}: {above} has no keys below it: leave out what follows it")
        key = _item(here, part, place) if isinstance(here, list) else _key(here, part, place)
        path = (*path, key)
        if index == len(parts) - 1:
            value = _value(text, place)
            _put(here, key, value)
            tree.places = {k: v for k, v in tree.places.items() if k[: len(path)] != path}
            tree.places[path] = place
        else:
            is_list = _NUMBER.fullmatch(parts[index + 1]) and part.lower() not in _NAMED
            here = _below(here, key, [] if is_list else {})


def _key(here: dict[str, Any], part: str, place: str) -> str:
    """As it is written in a file, or in lower case where no file has it."""
    same = [key for key in here if key.lower() == part.lower()]
    if len(same) > 1 and part not in same:
        raise ConfigError(
            f"{place}: {' and '.join(same)} differ in upper and lower case alone: write the name "
            "as it is in the file"
        )
    return part if part in same else next(iter(same), part.lower())


def _item(here: list[Any], part: str, place: str) -> int:
    if not _NUMBER.fullmatch(part) or int(part) > len(here):
        raise ConfigError(
            f"{place}: {part} is no entry of this list: it has {len(here)}, numbered from 0 on; "
            f"{len(here)} adds one"
        )
    return int(part)


def _below(here: Any, key: str | int, empty: Any) -> Any:
    there = isinstance(here, dict) and key in here
    if isinstance(key, int) and key < len(here):
        there = True
    if not there or here[key] is None:
        _put(here, key, empty)
    return here[key]


def _put(here: Any, key: str | int, value: Any) -> None:
    if isinstance(here, list) and key == len(here):
        here.append(value)
    else:
        here[key] = value


def _value(text: str, place: str) -> Any:
    try:
        return plain(parse(text, place))
    except ConfigError:
        raise ConfigError(
            f"{place}: the value is not YAML: put text with special characters into quotes"
        ) from None
