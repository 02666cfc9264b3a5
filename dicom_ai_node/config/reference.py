"""Every key there is, read from the JSON Schema: for the page of keys and for the example."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dicom_ai_node.config.schema import whole

_KINDS = {"string": "text", "boolean": "true or false", "null": "null", "object": "keys"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """A group of keys under a key; `step` stands between them: a number, a name, or nothing."""

    group: str
    step: str  # "", "N" or "NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a group; `default` is of no use where it is required."""

    name: str
    takes: str
    required: bool
    default: Any
    description: str
    below: Sequence[Below]


class Reference:
    """The groups of keys, by the names of their classes; the topmost has the name ""."""

    def __init__(self) -> None:
        self._top = whole()

    def description(self, group: str) -> str:
        return str(self._group(group).get("description", ""))

    def group(self, group: str = "") -> list[Key]:
        found = self._group(group)
        required = found.get("required", ())
        return [
            Key(
                name=name,
                takes=" or ".join(dict.fromkeys(self._takes(said))),
                required=name in required,
                default=said.get("default"),
                description=said.get("description") or self._of_groups(said),
                below=tuple(self._below(said, "")),
            )
            for name, said in found.get("properties", {}).items()
        ]

    def _of_groups(self, said: dict[str, Any]) -> str:
        """Pydantic leaves out what its class says in the same words."""
        return " ".join(self.description(each.group) for each in self._below(said, ""))

    def _group(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._top["$defs"][name] if name else self._top
        return found

    def _below(self, said: dict[str, Any], step: str) -> Iterator[Below]:
        if "$ref" in said:
            name = said["$ref"].rpartition("/")[2]
            if "enum" not in self._group(name):
                yield Below(group=name, step=step)
        for each in (*said.get("anyOf", ()), *said.get("oneOf", ())):
            yield from self._below(each, step)
        if "items" in said:
            yield from self._below(said["items"], "N")
        for each in said.get("patternProperties", {}).values():
            yield from self._below(each, "NAME")

    def _takes(self, said: dict[str, Any]) -> Iterator[str]:
        if "$ref" in said:
            said = self._group(said["$ref"].rpartition("/")[2])
        if "enum" in said or "const" in said:
            yield from (f"`{value}`" for value in said.get("enum", [said.get("const")]))
        elif "anyOf" in said or "oneOf" in said:
            for each in (*said.get("anyOf", ()), *said.get("oneOf", ())):
                yield from self._takes(each)
        elif said.get("type") == "array":
            yield f"list of {' or '.join(dict.fromkeys(self._items(said)))}"
        elif said.get("type") in ("integer", "number"):
            yield _number(said)
        else:
            yield _KINDS[said["type"]]

    def _items(self, said: dict[str, Any]) -> Iterator[str]:
        for each in said.get("prefixItems", [said.get("items", {})]):
            yield from self._takes(each)


def _number(said: dict[str, Any]) -> str:
    kind = "whole number" if said["type"] == "integer" else "number"
    low, above, high = (said.get(k) for k in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None and high is not None:
        return f"{kind} {low} to {high}"
    if above is not None:
        return f"{kind} > {above:g}"
    return kind if low is None else f"{kind} ≥ {low:g}"
