#!/usr/bin/env python3
"""Write docs/configuration.md and docs/node.schema.json: every key of the configuration.

    python -m scripts.configuration [--check]

With --check nothing is written, and the exit status is 1 when one of them is out of date.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dicom_ai_node.config.reference import Below, Key, Reference
from dicom_ai_node.config.schema import published

DOCS = Path(__file__).resolve().parents[1] / "docs"
# groups that stand under several keys, or under a name, have a table of their own
APART = frozenset({"PeerTlsSettings", "CatchUpSettings", "ResultForms", "Prior"})
INTRODUCTION = """\
# Every key of the configuration

Made by `python -m scripts.configuration` from the classes of `dicom_ai_node/config/`; change those
and not this page. How files are merged, and what the environment may say:
[README](../README.md#configuration).

`dicom-ai-node config example` prints all of it as YAML. Editors that know the YAML language server
complete keys and show these descriptions while you type, when a file begins with

```yaml
# yaml-language-server: $schema=../docs/node.schema.json
```

`dicom-ai-node config schema` prints that schema, too. `N` stands for the number of an entry in a
list, from 0 on, and `NAME` for a name that you choose. A dash means that the key must be given.
"""


class Page:
    """The page, section after section; a group that was shown already is only linked."""

    def __init__(self) -> None:
        self._keys = Reference()
        self._shown: dict[str, str] = {}  # group -> heading
        self._waiting: list[tuple[str, str]] = []  # heading, group

    def text(self) -> str:
        return "\n".join([INTRODUCTION, *self._sections()])

    def _sections(self) -> Iterator[str]:
        for key in self._keys.group():
            direct = [each.group for each in key.below if not each.step]
            if direct and not any(self._keys.group(group) for group in direct):
                continue
            yield f"## {key.name}" if direct else f"## {key.name}\n{key.description}\n"
            for group in direct:
                yield from self._table(group, key.name)
            self._wait(key.name, [each for each in key.below if each.step])
            while self._waiting:
                heading, group = self._waiting.pop(0)
                yield f"### {heading}"
                yield from self._table(group, heading.partition(" ")[0])

    def _table(self, group: str, prefix: str) -> Iterator[str]:
        said = self._keys.description(group)
        rows = list(self._rows(group, prefix))
        yield f"{said}\n"
        yield from ["| key | default | takes | |", "|---|---|---|---|", *rows, ""]

    def _rows(self, group: str, prefix: str) -> Iterator[str]:
        for key in self._keys.group(group):
            path = f"{prefix}.{key.name}"
            inline = [each.group for each in key.below if not each.step and each.group not in APART]
            apart = [each for each in key.below if each.group not in inline]
            links = self._wait(path, apart)
            yield f"| `{path}` | {_default(key)} | {_cell(key.takes)} | {_said(key, links)} |"
            for each in inline:
                yield from () if len(inline) > 1 else self._rows(each, path)
            if len(inline) > 1:
                self._wait(path, [Below(group=each, step="") for each in inline])

    def _wait(self, path: str, groups: list[Below] | tuple[Below, ...]) -> list[str]:
        """Links to the sections of these groups, which come after this table."""
        links = []
        for each in groups:
            heading = f"{path}.{each.step}" if each.step else path
            if len(groups) > 1:
                heading += f" ({_kind(each.group)})"
            if each.group not in self._shown:
                self._shown[each.group] = heading
                self._waiting.append((heading, each.group))
            links.append(_link(self._shown[each.group]))
        return links


def _kind(group: str) -> str:
    """What tells the members of a union apart."""
    words = {"Condition": "condition", "AnyOf": "any", "AllOf": "all"}
    return words.get(group) or f"kind: {group.removesuffix('Peer').lower()}"


def _link(heading: str) -> str:
    anchor = re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
    return f"[{heading}](#{anchor})"


def _said(key: Key, links: list[str]) -> str:
    return _cell(" ".join([key.description, *([f"See {', '.join(links)}."] if links else [])]))


def _default(key: Key) -> str:
    if key.required:
        return "–"
    if key.default is None or isinstance(key.default, dict):
        return "" if key.below else "none"
    value: Any = key.default
    if isinstance(value, list):
        return f"`[{', '.join(value)}]`"
    return f"`{json.dumps(value) if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def schema_text() -> str:
    return json.dumps(published(), indent=1) + "\n"


def pages() -> dict[Path, str]:
    return {DOCS / "configuration.md": Page().text(), DOCS / "node.schema.json": schema_text()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 when one is out of date")
    check = parser.parse_args().check
    for path, made in pages().items():
        if not check:
            path.write_text(made, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != made:
            sys.exit(f"docs/{path.name} is out of date: run python -m scripts.configuration")


if __name__ == "__main__":
    main()
