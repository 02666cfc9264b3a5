"""What a configuration holds, as data; and in what it differs from another one."""

from collections.abc import Iterator, Mapping
from typing import Any

from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.tree import Key

Flat = Mapping[Key, Any]


def everything(config: Config) -> dict[str, Any]:
    """With all defaults, by the names that files have. Secrets are files, so none is in it."""
    return config.model_dump(mode="json", by_alias=True)


def flat(values: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Each value by its key; a list of scalars, and what is empty, is one value."""
    if isinstance(values, dict) and values:
        for name, below in values.items():
            yield from flat(below, (*key, name))
    elif isinstance(values, list) and any(isinstance(each, dict) for each in values):
        for index, below in enumerate(values):
            yield from flat(below, (*key, index))
    else:
        yield key, values


def differing(config: Config) -> dict[str, Any]:
    """What is not as it would be if nobody had written it."""
    return config.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def defaults() -> Flat:
    """Of the sections; an AE title has none."""
    made = Config.model_validate({"node": {"ae_title": "-"}})
    return {key: value for key, value in flat(everything(made)) if key != ("node", "ae_title")}


def changes(before: Flat, after: Flat) -> Iterator[tuple[Key, Any, Any]]:
    """Keys with both values; None where a side has none."""
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)
