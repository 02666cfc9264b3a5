"""Every key with its default and its description, as YAML that loads."""

import re
import textwrap
from collections.abc import Iterator

from dicom_ai_node.config.reference import Key, Reference
from dicom_ai_node.config.writing import flow

_WIDTH = 96
_HEAD = """\
# Every key of the configuration, with its default. What is behind a # is not set: take the # away
# to set it. Keys that you do not write have these defaults, so keep only what differs.
"""
_REQUIRED = {"node.ae_title": "AI_NODE"}


def example() -> str:
    return "\n".join([_HEAD, *_Writer().section("", "", "")])


class _Writer:
    """Writes each group of keys once, and then refers to it."""

    def __init__(self) -> None:
        self._reference = Reference()
        self._shown: set[str] = set()

    def section(self, group: str, path: str, indent: str) -> Iterator[str]:
        for key in self._reference.group(group):
            yield from _comment(key.description, indent)
            yield from self._key(key, f"{path}.{key.name}".lstrip("."), indent)
            if not path:
                yield ""

    def _key(self, key: Key, path: str, indent: str) -> Iterator[str]:
        steps = [each for each in key.below if each.step]
        direct = [each.group for each in key.below if not each.step]
        if steps:
            yield f"{indent}{key.name}: {'{}' if steps[0].step == 'NAME' else '[]'}"
            for each in steps:
                lead = f"{each.step}:" if each.step == "NAME" else "-"
                yield from _off(self._entry(each.group, path, lead, indent))
        elif len(direct) == 1:
            yield from self._group(key, direct[0], path, indent)
        else:
            yield _line(key, path, indent)

    def _group(self, key: Key, group: str, path: str, indent: str) -> Iterator[str]:
        """Off where it is off unless somebody writes it: TLS, for example."""
        is_on = key.required or isinstance(key.default, dict)
        if group in self._shown or not self._reference.group(group):
            yield f"{indent}{key.name}: {'{}' if is_on else 'null'}"
            return
        self._shown.add(group)
        below = list(self.section(group, path, f"{indent}  "))
        block = iter([f"{indent}{key.name}:", *below])
        yield from block if is_on else _off(block)

    def _entry(self, group: str, path: str, lead: str, indent: str) -> Iterator[str]:
        """One entry of a list, or one under a name."""
        if group in self._shown:
            return
        self._shown.add(group)
        yield from _comment(self._reference.description(group), f"{indent}  ")
        yield f"{indent}  {lead}"
        yield from self.section(group, path, f"{indent}    ")


def _off(block: Iterator[str]) -> Iterator[str]:
    return (f"#{line.removeprefix('#')}" for line in block if line.strip())


def _line(key: Key, path: str, indent: str) -> str:
    if key.required:
        value = _REQUIRED.get(path)
        return f"{indent}{key.name}: {value or f'…  # {key.takes}'}"
    return f"{indent}{key.name}: {flow(key.default)}"


def _comment(text: str, indent: str) -> Iterator[str]:
    plain = re.sub(r"\[([^\]]+)\]\(([^)#]+)[^)]*\)", _link, text)
    yield from (f"{indent}# {line}" for line in textwrap.wrap(plain, _WIDTH - len(indent)))


def _link(found: re.Match[str]) -> str:
    said, page = found[1], f"docs/{found[2]}"
    return page if said == found[2] else f"{said} ({page})"
