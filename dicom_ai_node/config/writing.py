"""YAML for people: values as a person would write them, with remarks behind them."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from dicom_ai_node.config.tree import Key

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}(/[0-9]+)?")
_WORDS = frozenset({"true", "false", "null", "~", ".inf", ".nan"})
Remark = Callable[[Key], str]


def scalar(value: Any) -> str:
    """In quotes only where it must be."""
    text = str(value)
    is_plain = _PLAIN.fullmatch(text) or _ADDRESS.fullmatch(text)
    if isinstance(value, str) and is_plain and text.lower() not in _WORDS:
        return text
    return json.dumps(value, ensure_ascii=False)


def flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def lines(
    value: Any, remark: Remark = lambda _: "", key: Key = (), indent: str = ""
) -> Iterator[str]:
    """A mapping, or a list of mappings, as a block; what holds only scalars stands in one line."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _entry(f"{indent}{scalar(str(name))}:", below, remark, (*key, name), indent)
    else:
        for index, below in enumerate(value):
            item = list(lines(below, remark, (*key, index), f"{indent}  "))
            yield f"{indent}- {item[0].strip()}"
            yield from item[1:]


def _entry(begins: str, value: Any, remark: Remark, key: Key, indent: str) -> Iterator[str]:
    is_block = bool(value) and (
        isinstance(value, dict)
        or (isinstance(value, list) and all(isinstance(each, dict) and each for each in value))
    )
    said = "" if is_block else remark(key)
    written = begins if is_block else f"{begins} {flow(value)}"
    yield f"{written}  # {said}" if said else written
    if is_block:
        yield from lines(value, remark, key, f"{indent}  ")
