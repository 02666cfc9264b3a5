"""What a configuration holds, as data; and in what it differs from another one."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.tree import Key

Flat = Mapping[Key, Any]


def everything(config: Config) -> dict[str, Any]:
    """With all defaults, by the names that files have. Secrets are files, so none is in it; nor is
    more of a webhook's address than its host."""
    return _without_addresses(config.model_dump(mode="json", by_alias=True))


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
    return _without_addresses(config.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def _without_addresses(values: dict[str, Any]) -> dict[str, Any]:
    for each in values.get("alarms", {}).get("webhooks", ()):
        if each.get("url"):
            each["url"] = _host_of(each["url"])
    return values


def _host_of(url: str) -> str:
    """What follows stands as eight digits, by which two addresses are told apart."""
    parts = urlsplit(url)
    if not (parts.path or parts.query):
        return url
    return f"{parts.scheme}://{parts.netloc}/... ({hashlib.sha256(url.encode()).hexdigest()[:8]})"


def defaults() -> Flat:
    """Of the sections; an AE title has none."""
    made = Config.model_validate({"node": {"ae_title": "-"}})
    return {key: value for key, value in flat(everything(made)) if key != ("node", "ae_title")}


def changes(before: Flat, after: Flat) -> Iterator[tuple[Key, Any, Any]]:
    """Keys with both values; None where a side has none."""
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)
