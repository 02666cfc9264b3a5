"""What was meant by a key that does not exist: the nearest one, or the place where it belongs."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache

from dicom_ai_node.config.reference import Reference

_FEW = 12
_VERY_NEAR = 0.8


@cache
def known_keys() -> "KnownKeys":
    """Made once something is unknown: it takes a while."""
    return KnownKeys()


class KnownKeys:
    """All keys, by where they stand."""

    def __init__(self) -> None:
        self._reference = Reference()

    def meant(self, path: Sequence[str | int], kind: str | None = None) -> str:
        """What to write instead of an unknown key; `kind` is that of the peer above it."""
        name = str(path[-1])
        here = self._names(path[:-1], kind)
        elsewhere = [each for each in self._where(name) if each.count(".") < 2]
        near = get_close_matches(name, here, n=1)
        if near and (not elsewhere or get_close_matches(name, near, cutoff=_VERY_NEAR)):
            return f"did you mean {near[0]}?"
        if elsewhere:
            return f"it belongs under {' or '.join(dict.fromkeys(elsewhere))}"
        if 0 < len(here) <= _FEW:
            return f"there are {', '.join(here)}"
        return "`dicom-ai-node config example` shows every key"

    def takes(self, path: Sequence[str | int], kind: str | None = None) -> str:
        """What a key that is missing must hold."""
        groups = self._groups(path[:-1], kind)
        keys = [key for group in groups for key in self._reference.group(group)]
        return " or ".join(dict.fromkeys(key.takes for key in keys if key.name == path[-1]))

    def _names(self, path: Sequence[str | int], kind: str | None) -> list[str]:
        groups = self._groups(path, kind)
        return list(
            dict.fromkeys(key.name for each in groups for key in self._reference.group(each))
        )

    def _groups(self, path: Sequence[str | int], kind: str | None) -> list[str]:
        """Those that the keys below this path may be of."""
        groups, at = [""], 0
        while at < len(path):
            below = [
                each
                for group in groups
                for key in self._reference.group(group)
                if key.name == path[at]
                for each in key.below
            ]
            groups = [each.group for each in below]
            at += 2 if any(each.step for each in below) else 1
        of_kind = [each for each in groups if each == f"{(kind or '').capitalize()}Peer"]
        return of_kind or groups

    def _where(self, name: str) -> Iterator[str]:
        """The keys below which one of this name stands."""
        waiting, seen = [("", "")], {""}
        while waiting:
            path, group = waiting.pop(0)
            for key in self._reference.group(group):
                if key.name == name:
                    yield path or "the top"
                for each in key.below:
                    if each.group not in seen:
                        seen.add(each.group)
                        steps = [path, key.name, each.step]
                        waiting.append((".".join(step for step in steps if step), each.group))
