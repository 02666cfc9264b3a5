"""What the files and the environment say together, and where each key stands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

Key = tuple[str | int, ...]
TAGS = frozenset({"condition", "any", "all", "dimse", "dicomweb", "folder"})


@dataclass
class Tree:
    """Merged values, and for each key the `file:line` or the variable that said it last."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)

    def merge(self, document: CommentedMap, file: Path) -> None:
        """Mappings merge, lists append, a later scalar replaces an earlier one."""
        self._into(self.values, document, (), str(file))

    def _into(self, target: dict[str, Any], source: CommentedMap, path: Key, file: str) -> None:
        for name, value in source.items():
            key = (*path, str(name))
            # a key that came by a merge (<<) has no line of its own
            line = (source.lc.data or {}).get(name, (source.lc.line,))[0] + 1
            self.places[key] = f"{file}:{line}"
            before = target.get(str(name))
            if isinstance(value, CommentedMap):
                below = before if isinstance(before, dict) else {}
                target[str(name)] = below
                self._into(below, value, key, file)
            elif isinstance(value, CommentedSeq):
                kept = before if isinstance(before, list) else []
                target[str(name)] = kept + self._items(value, key, len(kept), file)
            else:
                target[str(name)] = value

    def _items(self, source: CommentedSeq, path: Key, offset: int, file: str) -> list[Any]:
        items: list[Any] = []
        for index, value in enumerate(source):
            key = (*path, index + offset)
            self.places[key] = f"{file}:{source.lc.data[index][0] + 1}"
            if isinstance(value, CommentedMap):
                item: dict[str, Any] = {}
                self._into(item, value, key, file)
                items.append(item)
            elif isinstance(value, CommentedSeq):
                items.append(self._items(value, key, 0, file))
            else:
                items.append(value)
        return items

    def place(self, loc: Sequence[str | int]) -> tuple[str, str]:
        """Where a key, or the nearest one above it, stands; and the key in dotted form."""
        key = self.key_of(loc)
        return self.nearest(key), ".".join(map(str, key))

    def nearest(self, key: Key) -> str:
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return self.places[key[:end]]
        return "configuration"

    def key_of(self, loc: Sequence[str | int]) -> Key:
        """Pydantic's locations hold tags of unions too ("dimse"), which no file has."""
        here: Any = self.values
        key: Key = ()
        for index, part in enumerate(loc):
            in_mapping = isinstance(here, dict) and part in here
            in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
            if in_mapping or in_list:
                here = here[part]
                key = (*key, part)
            elif index == len(loc) - 1 and part not in TAGS:
                key = (*key, part)
        return key

    def placed(self, line: str) -> str:
        """A sentence that begins with a dotted key, with the place of that key before it."""
        found = re.match(r"[a-z_]+(?:\.[A-Za-z0-9_-]+)+(?=: )", line)
        if found is None:
            return line
        loc = [int(part) if part.isdecimal() else part for part in found[0].split(".")]
        return f"{self.place(loc)[0]}: {line}"


def placed(lines: str, tree: Tree) -> str:
    return "\n".join(tree.placed(line) for line in lines.splitlines())


def plain(value: Any) -> Any:
    """Of ruamel's types, those of Python."""
    if isinstance(value, Mapping):
        return {str(key): plain(below) for key, below in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value
